#include <errno.h>
#include <sys/socket.h>

#include "check.h"
#include "core/options.h"
#include "core/socket.h"
#include "loopback.h"
#include "process.h"
#include "profiles.h"

namespace deadpeer {

namespace {

void check_recverr(const Descriptor& socket, int v4, int v6) {
  int value = -1;
  CHECK_EQ(get_int(socket.get(), SOL_IP, IP_RECVERR, &value), 0);
  CHECK_EQ(value, v4);
  CHECK_EQ(get_int(socket.get(), SOL_IPV6, IPV6_RECVERR, &value), 0);
  CHECK_EQ(value, v6);
}

// With a client that speaks MPTCP to a peer that does not: plain TCP from the handshake on.
struct FallenBack : Connection {
  explicit FallenBack(Path path) : Connection(path, IPPROTO_MPTCP) {}
};

// Whether two sockets have the same settings and the same options.
bool same(const Settings& a, const Settings& b) {
  return a.mask == b.mask && a.value == b.value;
}

// The options that MPTCP accepts.
Settings keepalive_profile() {
  return profile({{kEnable, 1}, {kInitialDelay, 41000}, {kInterval, 7000}, {kCount, 5}});
}

// The kernel checks these values too, so it refuses a bad one after all that are written before it.
TEST(refusal_after_several_writes_undoes_them) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    check_applied(connection.client, one_profile());
    Settings bad = another_profile();
    bad.set(kCount, 128);
    check_refused(apply(connection.client.get(), {bad, false}), -EINVAL, kCount);
    check_reads_back(connection.client, one_profile());
  }
}

// Linux itself never does this. Here a profile is wrongly marked as known good.
TEST(refusal_of_what_was_known_to_be_good_says_what_stays) {
  const Connection connection;
  check_applied(connection.client, one_profile());
  Settings bad = another_profile();
  bad.set(kCount, 128);
  const Refusal refusal = apply(connection.client.get(), {bad, true});
  check_refused(refusal, -EINVAL, kCount);
  const Settings after = read_all(connection.client);
  for (int i = 0; i < kOptionCount; i++) {
    const Option option = static_cast<Option>(i);
    if (!bad.has(option)) continue;
    const bool stays = (refusal.written & bit(option)) != 0;
    CHECK_EQ(after.value[option], (stays ? bad : one_profile()).value[option]);
  }
  CHECK(refusal.written != 0);
}

TEST(refusal_leaves_defaults_in_force) {
  const Descriptor socket = open_socket(Path::kIpv6);
  const Settings before = read_all(socket);
  Settings bad = one_profile();
  bad.set(kInitialDelay, 0);
  check_refused(apply(socket.get(), {bad, false}), -EINVAL, kInitialDelay);
  CHECK(same(read_all(socket), before));
  check_recverr(socket, 0, 0);
}

TEST(refusal_pins_what_followed_the_systems_default) {
  enter_own_network();
  set_default("tcp_keepalive_intvl", 33);
  const Descriptor untouched = open_socket(Path::kIpv4);
  const Descriptor socket = open_socket(Path::kIpv4);
  Settings bad = profile({{kInterval, 5000}, {kCount, 128}});
  check_refused(apply(socket.get(), {bad, false}), -EINVAL, kCount);
  set_default("tcp_keepalive_intvl", 44);
  check_reads_back(untouched, profile({{kInterval, 44000}}));
  check_reads_back(socket, profile({{kInterval, 33000}}));
}

// Forbids one option more each time, from the last one written to the first. Each is refused when
// all before it are written.
TEST(refusal_of_any_option_undoes_those_before_it) {
  need(kRtoMax);
  const Descriptor v4 = open_socket(Path::kIpv4);
  const Descriptor v6 = open_socket(Path::kIpv6);
  check_applied(v4, one_profile());
  check_applied(v6, one_profile());
  for (const Option option :
       {kInitialDelay, kEnable, kCount, kInterval, kSynCount, kUserTimeout, kRtoMax, kFailOnIcmp}) {
    forbid_setting(kOptions[option].level, kOptions[option].option);
    for (const Descriptor* socket : {&v4, &v6}) {
      check_refused(apply(socket->get(), {another_profile(), false}), -EPERM, option);
      check_reads_back(*socket, one_profile());
    }
    check_recverr(v6, 1, 1);
  }
}

TEST(mptcp_takes_keepalive_and_refuses_user_timeout) {
  const Descriptor mptcp = open_socket(Path::kIpv4, IPPROTO_MPTCP);
  check_applied(mptcp, keepalive_profile());
  const Settings before = read_all(mptcp);
  const Settings refused = profile({{kEnable, 0},
                                    {kInitialDelay, 52000},
                                    {kInterval, 8000},
                                    {kCount, 4},
                                    {kUserTimeout, 90000}});
  check_refused(apply(mptcp.get(), {refused, false}), -ENOPROTOOPT, kUserTimeout);
  CHECK(same(read_all(mptcp), before));
}

TEST(mptcp_refuses_as_well_once_connected) {
  const Connection connection(Path::kIpv4, IPPROTO_MPTCP, IPPROTO_MPTCP);
  for (const Descriptor* end : {&connection.client, &connection.server}) {
    check_applied(*end, keepalive_profile());
    const Settings refused = profile({{kCount, 4}, {kUserTimeout, 90000}});
    check_refused(apply(end->get(), {refused, false}), -ENOPROTOOPT, kUserTimeout);
    check_reads_back(*end, keepalive_profile());
  }
}

TEST(refusal_is_the_same_with_and_without_a_roll_back) {
  const Descriptor mptcp = open_socket(Path::kIpv4, IPPROTO_MPTCP);
  for (const Option option : {kUserTimeout, kSynCount, kRtoMax}) {
    const Settings settings = profile({{option, kOptions[option].min}});
    const Refusal known_good = apply(mptcp.get(), {settings, true});
    CHECK(known_good.error != 0);
    check_refused(apply(mptcp.get(), {settings, false}), known_good.error, known_good.option);
  }
}

TEST(mptcp_fallen_back_to_tcp_undoes_both_levels_of_fail_on_icmp) {
  need(kRtoMax);
  const FallenBack connection(Path::kMapped);
  const Descriptor& client = connection.client;
  const Settings taken = without(one_profile(), kRtoMax);
  check_applied(client, taken);
  check_recverr(client, 1, 1);
  check_refused(apply(client.get(), {another_profile(), false}), -ENOPROTOOPT, kRtoMax);
  check_reads_back(client, taken);
  check_recverr(client, 1, 1);

  check_applied(client, profile({{kFailOnIcmp, 0}}));
  check_refused(apply(client.get(), {one_profile(), false}), -ENOPROTOOPT, kRtoMax);
  check_recverr(client, 0, 0);
}

TEST(levels_that_differed_differ_again) {
  need(kRtoMax);
  const FallenBack connection(Path::kMapped);
  CHECK_EQ(set_int(connection.client.get(), SOL_IPV6, IPV6_RECVERR, 1), 0);
  check_refused(apply(connection.client.get(), {another_profile(), false}), -ENOPROTOOPT, kRtoMax);
  check_recverr(connection.client, 0, 1);
}

TEST(refused_first_or_never_by_what_a_socket_may_refuse) {
  CHECK(!refused_first_or_never(profile({})));
  CHECK(!refused_first_or_never(keepalive_profile()));
  CHECK(!refused_first_or_never(profile({{kFailOnIcmp, 1}})));
  CHECK(!refused_first_or_never(profile({{kFailOnIcmp, 1}, {kRtoMax, 1000}})));
  for (const Option option : {kUserTimeout, kSynCount, kRtoMax}) {
    Settings settings = keepalive_profile();
    settings.set(option, 1000);
    CHECK(refused_first_or_never(settings));
  }
}

TEST(known_good_is_applied) {
  const Settings settings = without(one_profile(), kFailOnIcmp);
  for (const Path path : kPaths) {
    const Descriptor socket = open_socket(path);
    check_taken(apply(socket.get(), {settings, true}));
    check_reads_back(socket, settings);
  }
}

// Every combination of options for which a caller may skip the rollback, on every kind of socket
// that refuses some: accepted as a whole, or refused with nothing changed.
TEST(known_good_is_taken_whole_or_not_at_all) {
  const Descriptor mptcp = open_socket(Path::kIpv4, IPPROTO_MPTCP);
  const FallenBack v4(Path::kIpv4);
  const FallenBack v6(Path::kIpv6);
  const FallenBack mapped(Path::kMapped);
  int taken = 0;
  int refused = 0;
  for (int mask = 0; mask < 1 << kOptionCount; mask++) {
    Settings settings = another_profile();
    settings.mask = static_cast<OptionMask>(settings.mask & mask);
    if (!refused_first_or_never(settings)) continue;
    for (const Descriptor* socket : {&mptcp, &v4.client, &v6.client, &mapped.client}) {
      apply(socket->get(), {keepalive_profile(), false});
      const Settings before = read_all(*socket);
      const Refusal refusal = apply(socket->get(), {settings, true});
      if (refusal.error == 0) {
        check_reads_back(*socket, settings);
        taken++;
      } else {
        CHECK(settings.has(refusal.option));
        CHECK(same(read_all(*socket), before));
        refused++;
      }
    }
  }
  CHECK(taken > 0);
  CHECK(refused > 0);
}

}  // namespace

}  // namespace deadpeer
