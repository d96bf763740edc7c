#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace deadpeer {

// The options of a profile, in the order in which a profile lists them.
enum Option : uint8_t {
  kEnable,
  kInitialDelay,
  kInterval,
  kCount,
  kUserTimeout,
  kSynCount,
  kRtoMax,
  kFailOnIcmp,
};
constexpr int kOptionCount = 8;

struct OptionSpec {
  const char* name;      // the field of a profile
  const char* constant;  // what the kernel calls it
  int level;
  int option;
  int unit;  // one kernel unit, in the profile's unit: 1000 where the kernel counts seconds
  int min;   // both ends in the profile's unit
  int max;
};

extern const std::array<OptionSpec, kOptionCount> kOptions;

using OptionMask = uint8_t;
static_assert(kOptionCount <= 8 * sizeof(OptionMask));
constexpr OptionMask bit(Option option) {
  return static_cast<OptionMask>(1u << option);
}

// Values in the profile's units (ms, counts, 0 or 1) of those options whose bit is set.
struct Settings {
  OptionMask mask = 0;
  // Wider than an option: a system's default in seconds can exceed an int in ms.
  std::array<int64_t, kOptionCount> value = {};

  bool has(Option option) const { return (mask & bit(option)) != 0; }
  void set(Option option, int64_t v) {
    mask = static_cast<OptionMask>(mask | bit(option));
    value[option] = v;
  }
};

// The option that the kernel refused, and why. error is 0 where all went well, else -errno.
// kNoOption: the descriptor itself is the fault (see read_kind).
constexpr Option kNoOption = static_cast<Option>(kOptionCount);
struct Refusal {
  int error = 0;
  Option option = kNoOption;
  // Options that were written before it and could not be taken back.
  OptionMask written = 0;
};

// Values that no kernel could take: out of range, or no whole number of the kernel's units.
// error is -EINVAL then.
Refusal check(const Settings& settings);

// Whether a refusal can only come before anything has changed, once the same settings have been
// taken by a plain TCP socket. Then nothing needs saving for a roll-back, which halves the work.
bool refused_first_or_never(const Settings& settings);

// One kernel option to be written. failOnIcmp is two of them on an IPv6 socket.
struct Write {
  Option option;
  int level;
  int name;
  int value;
};
struct WriteList {
  std::array<Write, kOptionCount + 1> writes = {};
  size_t size = 0;
};

// Settings prepared for writing to many sockets. `known_good` holds for settings that are
// refused_first_or_never() and that rehearse() has accepted.
struct Prepared {
  Prepared(const Settings& wanted, bool is_known_good);

  Settings settings;
  bool known_good;
  WriteList writes;  // as an IPv4 socket has them
};

// Sets all, or none: where the kernel refuses one, those set before it go back to what they were.
// An option that followed the system's default cannot be un-set (0 is EINVAL): going back pins
// the value that it had. Settings that are known to be good are refused first or never by Linux
// itself; where a program in between refuses a later one (a BPF program of the cgroup, a seccomp
// filter), those before it stay, and Refusal::written has them.
Refusal apply(int fd, const Prepared& prepared);

// Tries the settings on a socket of our own, to learn what this kernel accepts without touching a
// connection. error is that of socket(2) where that fails.
Refusal rehearse(const Settings& settings);

// What the kernel has. Options that this kernel or this socket does not know stay out of the
// mask. Returns 0, or -errno where the descriptor is not a TCP socket, or an option could not be
// asked for just now.
int read(int fd, Settings* settings);

// One option in the kernel's own unit. Nothing is checked but by the kernel, and nothing else is
// changed. Both return 0 or -errno.
int get_in_kernel_unit(int fd, Option option, int* value);
int set_in_kernel_unit(int fd, Option option, int value);

}  // namespace deadpeer
