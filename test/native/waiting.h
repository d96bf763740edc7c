#pragma once

#include <linux/tcp.h>
#include <unistd.h>

#include <cstdint>

#include "core/clock.h"
#include "core/descriptor.h"

namespace deadpeer {

// How long to wait for what the kernel does within milliseconds: long enough for a busy machine,
// and far below the hours after which it would have happened anyway.
constexpr double kPatience = 10000;

template <typename Condition>
bool eventually(Condition holds) {
  const double give_up_at = coarse_clock() + kPatience;
  while (!holds()) {
    if (coarse_clock() > give_up_at) return false;
    usleep(1000);
  }
  return true;
}

// Connection states as tcp_info reports them: linux/tcp.h, which has all of tcp_info, lacks them.
enum State : uint8_t {
  kEstablished = 1,
  kSynSent = 2,
  kFinWait2 = 5,
  kClose = 7,
  kCloseWait = 8,
  kListen = 10,
};

tcp_info info_of(const Descriptor& socket);

// Until nothing has been heard from the peer for a second, the least TCP_KEEPIDLE.
void await_silence(const Descriptor& socket);

// Until any timer that was due at once has fired.
void let_ticks_pass();

}  // namespace deadpeer
