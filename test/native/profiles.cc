#include "profiles.h"

#include "check.h"
#include "loopback.h"

namespace deadpeer {

namespace {

Settings known_to_this_kernel(const Settings& settings) {
  const Descriptor scratch = open_socket(Path::kIpv4);
  Settings known = settings;
  known.mask = static_cast<OptionMask>(settings.mask & read_all(scratch).mask);
  return known;
}

const char* name_of(Option option) {
  return option == kNoOption ? "the descriptor" : kOptions[option].name;
}

}  // namespace

Settings profile(std::initializer_list<Field> fields) {
  Settings settings;
  for (const auto& [option, value] : fields) settings.set(option, value);
  return settings;
}

Settings one_profile() {
  return known_to_this_kernel(profile({{kEnable, 1},
                                       {kInitialDelay, 41000},
                                       {kInterval, 7000},
                                       {kCount, 5},
                                       {kUserTimeout, 76543},
                                       {kSynCount, 3},
                                       {kRtoMax, 4000},
                                       {kFailOnIcmp, 1}}));
}

Settings another_profile() {
  return known_to_this_kernel(profile({{kEnable, 0},
                                       {kInitialDelay, 52000},
                                       {kInterval, 8000},
                                       {kCount, 4},
                                       {kUserTimeout, 84321},
                                       {kSynCount, 2},
                                       {kRtoMax, 5000},
                                       {kFailOnIcmp, 0}}));
}

Settings without(Settings settings, Option option) {
  settings.mask = static_cast<OptionMask>(settings.mask & ~bit(option));
  return settings;
}

void need(Option option) {
  if (!one_profile().has(option)) SKIP("this kernel does not have %s", kOptions[option].constant);
}

Settings read_all(const Descriptor& socket) {
  Settings settings;
  CHECK_EQ(read(socket.get(), &settings), 0);
  return settings;
}

void check_reads_back(const Descriptor& socket, const Settings& expected) {
  const Settings actual = read_all(socket);
  for (int i = 0; i < kOptionCount; i++) {
    const Option option = static_cast<Option>(i);
    if (!expected.has(option)) continue;
    if (!actual.has(option)) FAIL("%s cannot be read", name_of(option));
    if (actual.value[option] == expected.value[option]) continue;
    FAIL("%s is %lld, not %lld", name_of(option), static_cast<long long>(actual.value[option]),
         static_cast<long long>(expected.value[option]));
  }
}

void check_applied(const Descriptor& socket, const Settings& settings) {
  check_taken(apply(socket.get(), {settings, false}));
  check_reads_back(socket, settings);
}

void check_taken(const Refusal& refusal) {
  check_refused(refusal, 0, kNoOption);
}

void check_refused(const Refusal& refusal, int error, Option option) {
  if (refusal.error == error && refusal.option == option) return;
  FAIL("%d for %s, not %d for %s", refusal.error, name_of(refusal.option), error, name_of(option));
}

}  // namespace deadpeer
