#pragma once

#include <cstdint>
#include <limits>

#include "core/options.h"

namespace deadpeer {

struct Tuned {
  // Nothing was written, because the settings might end the connection. It has been idle for too
  // long, or has unanswered probes, retransmissions or a closed window. The caller samples it and
  // decides which values to defer.
  bool held = false;
  // When the peer was last heard, in ms of coarse_clock(). It can be below 0, because the clock of
  // a time namespace may have begun after that. NaN if the kernel was not read.
  double heard_at = std::numeric_limits<double>::quiet_NaN();
  Refusal refusal;
};

// Applies settings to a connection that they cannot end. `heard_at`: when the caller knows that the
// peer was heard, or -infinity. If that was within the last second, TCP_INFO need not be read:
// TCP_KEEPIDLE is at least 1 s, so no probe can be outstanding, and a user timeout of 1 s or more
// cannot have passed. `now` is coarse_clock().
Tuned tune(int fd, const Prepared& prepared, double heard_at, double now);

// Whether tune() would return `held` for these settings now, for a connection whose peer was heard
// at an unknown time. Writes nothing.
bool would_hold(int fd, const Settings& settings);

}  // namespace deadpeer
