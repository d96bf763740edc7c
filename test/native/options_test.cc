#include "core/options.h"

#include <errno.h>
#include <linux/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <climits>

#include "check.h"
#include "core/socket.h"
#include "loopback.h"
#include "process.h"
#include "profiles.h"

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#endif

namespace deadpeer {

namespace {

void check_each_end_of_each_range(const Descriptor& socket) {
  const OptionMask known = read_all(socket).mask;
  for (int i = 0; i < kOptionCount; i++) {
    const Option option = static_cast<Option>(i);
    if ((known & bit(option)) == 0) continue;
    check_applied(socket, profile({{option, kOptions[option].max}}));
    check_applied(socket, profile({{option, kOptions[option].min}}));
  }
}

void check_round_trips(const Descriptor& socket) {
  check_each_end_of_each_range(socket);
  check_applied(socket, one_profile());
  check_applied(socket, another_profile());
}

void check_kernel_range(Option option, int least, int greatest) {
  need(option);
  const OptionSpec& spec = kOptions[option];
  const Descriptor socket = open_socket(Path::kIpv4);
  const auto set = [&](int value) { return set_int(socket.get(), spec.level, spec.option, value); };
  CHECK_EQ(set(least - 1), -EINVAL);
  CHECK_EQ(set(greatest), 0);
  CHECK_EQ(set(least), 0);
  if (greatest < INT_MAX) CHECK_EQ(set(greatest + 1), -EINVAL);
  int value = 0;
  CHECK_EQ(get_int(socket.get(), spec.level, spec.option, &value), 0);
  CHECK_EQ(value, least);
  CHECK_EQ(spec.min, least * spec.unit);
  CHECK_EQ(spec.max, greatest * spec.unit);
}

TEST(options_read_back_before_connecting) {
  for (const Path path : kPaths) check_round_trips(open_socket(path));
}

TEST(options_read_back_while_listening) {
  for (const Path path : kPaths) check_round_trips(listen_on(path));
}

TEST(options_read_back_on_ipv4_connections) {
  const Connection connection(Path::kIpv4);
  check_round_trips(connection.client);
  check_round_trips(connection.server);
}

TEST(options_read_back_on_ipv6_connections) {
  const Connection connection(Path::kIpv6);
  check_round_trips(connection.client);
  check_round_trips(connection.server);
}

TEST(options_read_back_on_ipv6_sockets_with_an_ipv4_peer) {
  const Connection connection(Path::kMapped);
  check_round_trips(connection.client);
  check_round_trips(connection.server);
}

TEST(options_read_back_on_ipv6_only_sockets) {
  const Descriptor socket = open_socket(Path::kIpv6);
  CHECK_EQ(set_int(socket.get(), SOL_IPV6, IPV6_V6ONLY, 1), 0);
  check_round_trips(socket);
}

TEST(options_are_the_kernels_own_constants_and_units) {
  const Descriptor socket = open_socket(Path::kIpv6);
  const Settings settings = one_profile();
  check_applied(socket, settings);
  const auto kernel_value = [&](int level, int name) {
    int value = -1;
    CHECK_EQ(get_int(socket.get(), level, name, &value), 0);
    return value;
  };
  CHECK_EQ(kernel_value(SOL_SOCKET, SO_KEEPALIVE), 1);
  CHECK_EQ(kernel_value(IPPROTO_TCP, TCP_KEEPIDLE), 41);
  CHECK_EQ(kernel_value(IPPROTO_TCP, TCP_KEEPINTVL), 7);
  CHECK_EQ(kernel_value(IPPROTO_TCP, TCP_KEEPCNT), 5);
  CHECK_EQ(kernel_value(IPPROTO_TCP, TCP_USER_TIMEOUT), 76543);
  CHECK_EQ(kernel_value(IPPROTO_TCP, TCP_SYNCNT), 3);
  CHECK_EQ(kernel_value(SOL_IP, IP_RECVERR), 1);
  CHECK_EQ(kernel_value(SOL_IPV6, IPV6_RECVERR), 1);
  if (settings.has(kRtoMax)) CHECK_EQ(kernel_value(IPPROTO_TCP, TCP_RTO_MAX_MS), 4000);
}

TEST(fail_on_icmp_needs_both_levels_on_ipv6) {
  const Descriptor socket = open_socket(Path::kIpv6);
  CHECK_EQ(set_int(socket.get(), SOL_IP, IP_RECVERR, 1), 0);
  check_reads_back(socket, profile({{kFailOnIcmp, 0}}));
  CHECK_EQ(set_int(socket.get(), SOL_IPV6, IPV6_RECVERR, 1), 0);
  check_reads_back(socket, profile({{kFailOnIcmp, 1}}));
  CHECK_EQ(set_int(socket.get(), SOL_IP, IP_RECVERR, 0), 0);
  check_reads_back(socket, profile({{kFailOnIcmp, 0}}));
}

TEST(options_left_out_stay_as_they_are) {
  const Descriptor socket = open_socket(Path::kIpv4);
  check_applied(socket, one_profile());
  check_applied(socket, profile({{kCount, 9}}));
  check_reads_back(socket, without(one_profile(), kCount));
  check_applied(socket, profile({}));
  check_reads_back(socket, without(one_profile(), kCount));
}

TEST(check_takes_both_ends_of_every_range) {
  for (int i = 0; i < kOptionCount; i++) {
    const Option option = static_cast<Option>(i);
    check_taken(check(profile({{option, kOptions[option].min}})));
    check_taken(check(profile({{option, kOptions[option].max}})));
  }
}

TEST(check_refuses_what_is_below_or_above) {
  for (int i = 0; i < kOptionCount; i++) {
    const Option option = static_cast<Option>(i);
    const OptionSpec& spec = kOptions[option];
    for (const int below : {spec.min - spec.unit, spec.min - 1, INT_MIN}) {
      check_refused(check(profile({{option, below}})), -EINVAL, option);
    }
    if (spec.max == INT_MAX) continue;
    for (const int above : {spec.max + spec.unit, spec.max + 1, INT_MAX}) {
      check_refused(check(profile({{option, above}})), -EINVAL, option);
    }
  }
}

TEST(check_refuses_fractions_of_a_kernel_unit) {
  check_refused(check(profile({{kInitialDelay, 1500}})), -EINVAL, kInitialDelay);
  check_refused(check(profile({{kInterval, 1001}})), -EINVAL, kInterval);
  check_taken(check(profile({{kUserTimeout, 1501}, {kRtoMax, 1501}})));
}

TEST(check_looks_at_given_options_only) {
  Settings settings = profile({{kCount, 3}});
  settings.value[kInterval] = -1;
  check_taken(check(settings));
  settings.set(kInterval, -1);
  check_refused(check(settings), -EINVAL, kInterval);
}

TEST(kernel_ranges) {
  check_kernel_range(kInitialDelay, 1, 32767);
  check_kernel_range(kInterval, 1, 32767);
  check_kernel_range(kCount, 1, 127);
  check_kernel_range(kSynCount, 1, 127);
  check_kernel_range(kUserTimeout, 0, INT_MAX);
}

TEST(kernel_range_of_rto_max) {
  check_kernel_range(kRtoMax, 1000, 120000);
}

TEST(rehearse_takes_what_the_kernel_takes) {
  check_taken(rehearse(one_profile()));
  check_taken(rehearse(profile({})));
}

TEST(rehearse_names_what_the_kernel_refuses) {
  check_refused(rehearse(profile({{kInterval, 5000}, {kCount, 128}})), -EINVAL, kCount);
}

TEST(rehearse_leaves_no_descriptor_open) {
  const int before = dup(STDIN_FILENO);
  close(before);
  rehearse(one_profile());
  rehearse(profile({{kCount, 128}}));
  const Descriptor after(dup(STDIN_FILENO));
  CHECK_EQ(after.get(), before);
}

TEST(rehearse_without_a_descriptor_left) {
  const Settings settings = one_profile();
  allow_more_descriptors(false);
  const Refusal refusal = rehearse(settings);
  allow_more_descriptors(true);
  check_refused(refusal, -EMFILE, kNoOption);
}

// The system's default may be more seconds than an int holds as milliseconds.
TEST(initial_delay_beyond_its_range_is_read_as_it_is) {
  enter_own_network();
  constexpr int kSeconds = 3000000;
  set_default("tcp_keepalive_time", kSeconds);
  const Descriptor socket = open_socket(Path::kIpv4);
  int kernel_value = 0;
  CHECK_EQ(get_int(socket.get(), IPPROTO_TCP, TCP_KEEPIDLE, &kernel_value), 0);
  CHECK_EQ(kernel_value, kSeconds);
  CHECK(read_all(socket).value[kInitialDelay] == int64_t{kSeconds} * 1000);
}

}  // namespace

}  // namespace deadpeer
