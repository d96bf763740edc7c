#pragma once

#include <time.h>

namespace deadpeer {

// CLOCK_MONOTONIC_COARSE in ms. It advances with the kernel's ticks, as the times of tcp_info do.
inline double coarse_clock() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

}  // namespace deadpeer
