#include "waiting.h"

#include <time.h>

#include "check.h"
#include "core/tcp_info.h"

namespace deadpeer {

tcp_info info_of(const Descriptor& socket) {
  tcp_info info = {};
  CHECK(read_tcp_info(socket.get(), &info, sizeof(info)) > 0);
  return info;
}

void await_silence(const Descriptor& socket) {
  CHECK(eventually([&] {
    const tcp_info info = info_of(socket);
    return info.tcpi_last_ack_recv >= 1000 && info.tcpi_last_data_recv >= 1000;
  }));
}

void let_ticks_pass() {
  timespec tick;
  clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
  usleep(static_cast<useconds_t>(tick.tv_nsec / 1000 * 10));
}

}  // namespace deadpeer
