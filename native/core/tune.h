#pragma once

#include <cstdint>

#include "core/options.h"

namespace deadpeer {

struct Tuned {
  // Nothing was written: the connection has been silent so long, or is in such trouble, that the
  // settings might end it. The caller looks closer and decides what to hold back.
  bool held = false;
  // When the peer was last heard, where the kernel was asked; else 0. In ms of coarse_clock().
  double heard_at = 0;
  Refusal refusal;
};

// Applies settings to a connection that they cannot end. `heard_at`: when the caller knows that the
// peer was heard, or 0. Within a second of that the kernel need not be asked: TCP_KEEPIDLE is a
// second at least, so no probe can be outstanding, and no user timeout of a second or more have
// passed. `now` is coarse_clock().
Tuned tune(int fd, const Prepared& prepared, double heard_at, double now);

// Whether tune() would hold these settings now, for a connection of which the caller does not know
// when its peer was heard. Writes nothing.
bool would_hold(int fd, const Settings& settings);

}  // namespace deadpeer
