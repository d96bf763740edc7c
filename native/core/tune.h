#pragma once

#include <cstdint>
#include <limits>

#include "core/options.h"

namespace deadpeer {

struct Tuned {
  // Nothing was written: the connection has been silent so long, or is in such trouble, that the
  // settings might end it. The caller looks closer and decides what to hold back.
  bool held = false;
  // When the peer was last heard, in ms of coarse_clock(), which a time namespace may have begun
  // after that: it can be below 0. NaN where the kernel was not asked.
  double heard_at = std::numeric_limits<double>::quiet_NaN();
  Refusal refusal;
};

// Applies settings to a connection that they cannot end. `heard_at`: when the caller knows that the
// peer was heard, or -infinity. Within a second of that the kernel need not be asked: TCP_KEEPIDLE
// is a second at least, so no probe can be outstanding, and no user timeout of a second or more
// have passed. `now` is coarse_clock().
Tuned tune(int fd, const Prepared& prepared, double heard_at, double now);

// Whether tune() would hold these settings now, for a connection of which the caller does not know
// when its peer was heard. Writes nothing.
bool would_hold(int fd, const Settings& settings);

}  // namespace deadpeer
