#pragma once

#include <linux/tcp.h>
#include <unistd.h>

#include <cstdint>

#include "core/clock.h"
#include "core/descriptor.h"

namespace deadpeer {

// How long to wait for things that the kernel does within milliseconds: long enough for a busy
// machine, and far less than the hours after which they would happen anyway.
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

// Connection states as tcp_info reports them. linux/tcp.h has all of tcp_info, but not these.
enum State : uint8_t {
  kEstablished = 1,
  kSynSent = 2,
  kFinWait2 = 5,
  kClose = 7,
  kCloseWait = 8,
  kListen = 10,
};

tcp_info info_of(const Descriptor& socket);

// Until the peer was not heard for a second, the minimum of TCP_KEEPIDLE.
void await_silence(const Descriptor& socket);

// Until every timer that was due at once has fired.
void let_ticks_pass();

}  // namespace deadpeer
