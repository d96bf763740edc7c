#include "core/tune.h"

#include <errno.h>
#include <linux/tcp.h>
#include <sys/socket.h>

#include <cmath>
#include <limits>

#include "check.h"
#include "core/clock.h"
#include "core/socket.h"
#include "loopback.h"
#include "profiles.h"
#include "waiting.h"

namespace deadpeer {

namespace {

constexpr double kNeverHeard = -std::numeric_limits<double>::infinity();

Settings with_initial_delay(int ms) {
  return profile({{kEnable, 1}, {kInitialDelay, ms}, {kInterval, 7000}, {kCount, 5}});
}

Tuned tune_unheard(const Descriptor& socket, const Settings& settings) {
  return tune(socket.get(), {settings, false}, kNeverHeard, coarse_clock());
}

void check_held(const Descriptor& socket, const Settings& settings) {
  const Settings before = read_all(socket);
  const Tuned tuned = tune_unheard(socket, settings);
  CHECK(tuned.held);
  check_taken(tuned.refusal);
  check_reads_back(socket, before);
}

void check_tuned(const Descriptor& socket, const Settings& settings) {
  const Tuned tuned = tune_unheard(socket, settings);
  CHECK(!tuned.held);
  check_taken(tuned.refusal);
  check_reads_back(socket, settings);
}

TEST(tune_holds_when_silent_for_the_initial_delay) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    await_silence(connection.client);
    // A peer whose handshake completed a little later.
    await_silence(connection.server);
    check_held(connection.client, with_initial_delay(1000));
    check_held(connection.server, with_initial_delay(1000));
  }
}

TEST(tune_holds_mptcp_alike) {
  const Connection connection(Path::kIpv4, IPPROTO_MPTCP, IPPROTO_MPTCP);
  await_silence(connection.client);
  check_held(connection.client, with_initial_delay(1000));
  check_tuned(connection.client, with_initial_delay(3600000));
}

TEST(tune_goes_on_when_silent_for_less) {
  const Connection connection;
  await_silence(connection.client);
  check_tuned(connection.client, with_initial_delay(3600000));
}

TEST(tune_goes_on_when_just_heard) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    check_tuned(connection.client, one_profile());
    check_tuned(connection.server, one_profile());
  }
}

TEST(tune_goes_on_once_the_peer_is_heard_again) {
  const Connection connection;
  await_silence(connection.client);
  CHECK_EQ(send(connection.server.get(), "", 1, 0), 1);
  CHECK(eventually([&] { return info_of(connection.client).tcpi_last_data_recv < 1000; }));
  check_tuned(connection.client, with_initial_delay(10000));
}

TEST(tune_without_initial_delay_goes_on_in_any_silence) {
  const Connection connection;
  await_silence(connection.client);
  check_tuned(connection.client, profile({{kInterval, 7000}, {kCount, 5}, {kUserTimeout, 1}}));
  check_tuned(connection.client, profile({{kEnable, 0}}));
}

// The timer starts with the TCP_KEEPIDLE in force, which the settings do not contain.
TEST(tune_holds_enable_alone) {
  const Connection connection;
  check_held(connection.client, profile({{kEnable, 1}}));
  const Tuned tuned = tune(connection.client.get(), {profile({{kEnable, 1}}), false},
                           coarse_clock(), coarse_clock());
  CHECK(!tuned.held);
  check_reads_back(connection.client, profile({{kEnable, 1}}));
}

TEST(tune_tells_when_the_peer_was_heard) {
  // In either order, because the clock and tcp_info are not read at the same moment.
  constexpr double kTick = 10;
  const double before = coarse_clock() - kTick;
  const Connection connection;
  const double after = coarse_clock() + kTick;
  await_silence(connection.client);
  // Reads again if the process was paused between the two readings.
  CHECK(eventually([&] {
    const Tuned tuned = tune_unheard(connection.client, with_initial_delay(3600000));
    return tuned.heard_at >= before && tuned.heard_at <= after;
  }));
}

TEST(tune_believes_that_the_peer_was_just_heard) {
  const Connection connection;
  await_silence(connection.client);
  const Tuned tuned = tune(connection.client.get(), {with_initial_delay(1000), false},
                           coarse_clock(), coarse_clock());
  CHECK(!tuned.held);
  CHECK(std::isnan(tuned.heard_at));
  check_reads_back(connection.client, with_initial_delay(1000));
}

TEST(tune_looks_again_a_second_after_the_peer_was_heard) {
  const Connection connection;
  await_silence(connection.client);
  const Tuned tuned = tune(connection.client.get(), {with_initial_delay(1000), false},
                           coarse_clock() - 1000, coarse_clock());
  CHECK(tuned.held);
}

// As in a time namespace, whose clock may have begun after the peer was last heard.
TEST(tune_under_a_clock_that_has_just_begun) {
  const Connection connection;
  await_silence(connection.client);
  const Tuned held =
      tune(connection.client.get(), {with_initial_delay(1000), false}, kNeverHeard, 1);
  CHECK(held.held);
  const Settings settings = with_initial_delay(3600000);
  const Tuned tuned = tune(connection.client.get(), {settings, false}, kNeverHeard, 1);
  CHECK(!tuned.held);
  check_taken(tuned.refusal);
  CHECK(tuned.heard_at < 0);
  check_reads_back(connection.client, settings);
}

TEST(tune_known_good_holds_and_goes_on_alike) {
  const Connection connection;
  await_silence(connection.client);
  Settings settings = without(one_profile(), kFailOnIcmp);
  Tuned tuned = tune(connection.client.get(), {settings, true}, kNeverHeard, coarse_clock());
  CHECK(!tuned.held);
  check_reads_back(connection.client, settings);
  settings.set(kInitialDelay, 1000);
  tuned = tune(connection.client.get(), {settings, true}, kNeverHeard, coarse_clock());
  CHECK(tuned.held);
}

TEST(tune_never_holds_without_a_peer) {
  for (const Path path : kPaths) {
    const Descriptor listener = listen_on(path);
    check_tuned(listener, with_initial_delay(1000));
    check_tuned(listener, profile({{kEnable, 1}}));
    check_tuned(open_socket(path), with_initial_delay(1000));
  }
}

TEST(tune_holds_nothing_but_a_user_timeout_while_connecting) {
  const Descriptor listener = listen_on(Path::kIpv4, 0);
  const Descriptor first = connect_to(listener);
  const Descriptor second = connect_in_vain_to(listener);
  CHECK(eventually([&] { return info_of(second).tcpi_retransmits > 0; }));
  check_tuned(second, with_initial_delay(1000));
  CHECK_EQ(info_of(second).tcpi_state, kSynSent);
  // Except a user timeout, which also ends a connection attempt and may already have passed.
  check_held(second, profile({{kUserTimeout, 5000}}));
}

// Even though the peer was just heard: so short a time may have passed since.
TEST(tune_looks_before_a_user_timeout_under_a_second) {
  const Connection connection;
  fill(connection.client);
  CHECK(eventually([&] { return info_of(connection.client).tcpi_backoff > 0; }));
  const Settings under = profile({{kUserTimeout, 999}});
  CHECK(tune(connection.client.get(), {under, false}, coarse_clock(), coarse_clock()).held);
  const Settings over = profile({{kUserTimeout, 1000}});
  CHECK(!tune(connection.client.get(), {over, false}, coarse_clock(), coarse_clock()).held);
}

TEST(tune_holds_behind_a_closed_window) {
  const Connection connection;
  fill(connection.client);
  CHECK(eventually([&] { return info_of(connection.client).tcpi_backoff > 0; }));
  check_held(connection.client, with_initial_delay(3600000));
  check_held(connection.client, profile({{kUserTimeout, 1}}));
}

TEST(tune_holds_while_the_peer_owes_an_answer) {
  const Connection connection;
  CHECK_EQ(set_int(connection.client.get(), SOL_SOCKET, SO_KEEPALIVE, 1), 0);
  must_deafen(connection.server);
  await_silence(connection.client);
  CHECK_EQ(set_int(connection.client.get(), IPPROTO_TCP, TCP_KEEPIDLE, 1), 0);
  CHECK(eventually([&] { return info_of(connection.client).tcpi_probes == 1; }));
  check_held(connection.client, with_initial_delay(3600000));
  check_held(connection.client, profile({{kCount, 1}}));
}

TEST(tune_passes_the_refusal_on) {
  const Connection connection;
  const Settings bad = profile({{kInterval, 5000}, {kCount, 128}});
  const Settings before = read_all(connection.client);
  const Tuned tuned = tune_unheard(connection.client, bad);
  CHECK(!tuned.held);
  check_refused(tuned.refusal, -EINVAL, kCount);
  check_reads_back(connection.client, before);
}

}  // namespace

}  // namespace deadpeer
