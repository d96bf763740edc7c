#include "core/tune.h"

#include <limits>

#include "core/tcp_info.h"

namespace deadpeer {

namespace {

// The longest idle time of a healthy connection for which these settings are harmless: TCP_KEEPIDLE
// must not fire at once. If keepalive is switched on without TCP_KEEPIDLE, the kernel waits a whole
// TCP_KEEPIDLE in addition to the idle time so far. Then no idle time is harmless.
uint32_t harmless_silence(const Settings& settings) {
  if (settings.has(kInitialDelay)) return static_cast<uint32_t>(settings.value[kInitialDelay]);
  if (settings.has(kEnable) && settings.value[kEnable] != 0) return 0;
  return std::numeric_limits<uint32_t>::max();
}

// TCP_KEEPIDLE's minimum, in ms.
constexpr double kRecent = 1000;

// A user timeout that may have passed even if the peer was heard within the last second.
bool is_short(const Settings& settings) {
  return settings.has(kUserTimeout) && settings.value[kUserTimeout] > 0 &&
         static_cast<double>(settings.value[kUserTimeout]) < kRecent;
}

bool could_end(const Quiet& quiet, const Settings& settings) {
  if (quiet.synchronized) {
    return quiet.in_trouble || quiet.silent_for >= harmless_silence(settings);
  }
  // A user timeout also ends a connection attempt, which may already have lasted longer.
  return quiet.connecting && quiet.in_trouble && settings.has(kUserTimeout);
}

}  // namespace

bool would_hold(int fd, const Settings& settings) {
  Quiet quiet;
  return read_quiet(fd, &quiet) == 0 && could_end(quiet, settings);
}

Tuned tune(int fd, const Prepared& prepared, double heard_at, double now) {
  Tuned tuned;
  const Settings& settings = prepared.settings;
  if (now - heard_at >= kRecent || is_short(settings)) {
    Quiet quiet;
    // If TCP_INFO cannot be read, apply() reports why.
    if (read_quiet(fd, &quiet) == 0) {
      tuned.held = could_end(quiet, settings);
      if (tuned.held) return tuned;
      if (quiet.synchronized) tuned.heard_at = now - quiet.silent_for;
    }
  }
  tuned.refusal = apply(fd, prepared);
  return tuned;
}

}  // namespace deadpeer
