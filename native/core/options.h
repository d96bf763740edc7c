#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace deadpeer {

// The options of a profile, in the order of the profile's fields.
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
  const char* constant;  // the kernel's name for it
  int level;
  int option;
  int unit;  // the kernel's unit, in the profile's unit: 1000 if the kernel counts seconds
  int min;   // min and max are in the profile's unit
  int max;
};

extern const std::array<OptionSpec, kOptionCount> kOptions;

using OptionMask = uint8_t;
static_assert(kOptionCount <= 8 * sizeof(OptionMask));
constexpr OptionMask bit(Option option) {
  return static_cast<OptionMask>(1u << option);
}

// Values in the profile's units (ms, counts, 0 or 1), for each option whose bit is set.
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

// The option that the kernel refused, and why. error is 0 if nothing was refused, otherwise -errno.
// kNoOption: the kernel refused the descriptor itself (see read_kind).
constexpr Option kNoOption = static_cast<Option>(kOptionCount);
struct Refusal {
  int error = 0;
  Option option = kNoOption;
  // Options that were written before it and could not be restored.
  OptionMask written = 0;
};

// Finds values that no kernel could accept: out of range, or not a whole number of the kernel's
// units. error is then -EINVAL.
Refusal check(const Settings& settings);

// Whether the kernel can refuse only the first option that is written, once a plain TCP socket has
// accepted them all. Then no values need to be saved for a rollback, which halves the work.
bool refused_first_or_never(const Settings& settings);

// One kernel option to write. On an IPv6 socket failOnIcmp is two of them.
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

// Settings prepared for writing to many sockets. `known_good` is true if refused_first_or_never()
// is true for them and rehearse() has accepted them.
struct Prepared {
  Prepared(const Settings& wanted, bool is_known_good);

  Settings settings;
  bool known_good;
  WriteList writes;  // for an IPv4 socket
};

// Sets all options or none: if the kernel refuses one, those set before it are restored. An option
// that followed the system's default cannot be un-set (0 is EINVAL): restoring pins the value that
// it had. Of known-good settings, Linux itself can refuse only the first option. A BPF program of
// the cgroup or a seccomp filter may still refuse a later option. Those before it then stay, and
// Refusal::written names them.
Refusal apply(int fd, const Prepared& prepared);

// Tries the settings on a socket of our own, to learn what this kernel accepts without touching a
// connection. If socket(2) fails, error is its errno.
Refusal rehearse(const Settings& settings);

// Reads the options. The mask does not include options that this kernel or this socket lacks.
// Returns 0, or -errno if the descriptor is not a TCP socket, or an option could not be read just
// now.
int read(int fd, Settings* settings);

// One option in the kernel's own unit. Only the kernel checks the value, and no other option
// changes. Both return 0 or -errno.
int get_in_kernel_unit(int fd, Option option, int* value);
int set_in_kernel_unit(int fd, Option option, int value);

}  // namespace deadpeer
