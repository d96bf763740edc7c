#include "core/liveness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <sys/socket.h>

#include <array>

#include "check.h"
#include "core/keepalive_timer.h"
#include "core/socket.h"
#include "loopback.h"
#include "process.h"
#include "profiles.h"
#include "waiting.h"

namespace deadpeer {

namespace {

// Two readings of the kernel's clocks differ by a tick or two. The longest tick is 10 ms.
constexpr double kTicks = 20;

uint64_t cookie_of(const Descriptor& socket) {
  uint64_t cookie = 0;
  CHECK_EQ(read_cookie(socket.get(), &cookie), 0);
  return cookie;
}

Look look_at(const Descriptor& socket) {
  Look seen = {};
  CHECK_EQ(look(socket.get(), cookie_of(socket), &seen), 0);
  return seen;
}

double silence_of(const Descriptor& socket) {
  const Look seen = look_at(socket);
  return seen.seen_at - seen.heard_at;
}

Settings keepalive_of(const Descriptor& socket) {
  Settings settings;
  CHECK_EQ(read_keepalive(socket.get(), &settings), 0);
  return settings;
}

Settings five(int enable, int initial_delay, int interval, int count, int user_timeout) {
  return profile({{kEnable, enable},
                  {kInitialDelay, initial_delay},
                  {kInterval, interval},
                  {kCount, count},
                  {kUserTimeout, user_timeout}});
}

Settings quiet() {
  return five(1, 3600000, 7000, 5, 90000);
}
Settings asking() {
  return five(1, 1000, 8000, 6, 91000);
}

void check_same(const Settings& actual, const Settings& expected) {
  CHECK_EQ(actual.mask, expected.mask);
  for (int i = kEnable; i <= kUserTimeout; i++) CHECK_EQ(actual.value[i], expected.value[i]);
}

TEST(identify_tells_cookie_and_state) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    uint64_t cookie;
    uint8_t state;
    CHECK_EQ(identify(connection.client.get(), &cookie, &state), 0);
    CHECK_EQ(cookie, cookie_of(connection.client));
    CHECK_EQ(state, kEstablished);
    constexpr int kListen = 10;
    CHECK_EQ(identify(connection.listener.get(), &cookie, &state), 0);
    CHECK_EQ(state, kListen);
  }
}

TEST(identify_what_is_no_tcp_socket) {
  uint64_t cookie;
  uint8_t state;
  CHECK_EQ(identify(-1, &cookie, &state), -EBADF);
  const Descriptor file(open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK_EQ(identify(file.get(), &cookie, &state), -ENOTSOCK);
  for (const int family : {AF_UNIX, AF_INET}) {
    const Descriptor datagrams(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    CHECK(identify(datagrams.get(), &cookie, &state) < 0);
    Look seen;
    CHECK(look(datagrams.get(), cookie_of(datagrams), &seen) < 0);
  }
}

TEST(look_at_a_number_that_is_another_socket_by_now) {
  const Connection first;
  const Connection second;
  Look seen;
  const uint64_t cookie = cookie_of(first.client);
  CHECK_EQ(look(first.client.get(), cookie, &seen), 0);
  CHECK_EQ(look(second.client.get(), cookie, &seen), -ESTALE);
  CHECK_EQ(dup3(second.client.get(), first.client.get(), O_CLOEXEC), first.client.get());
  CHECK_EQ(look(first.client.get(), cookie, &seen), -ESTALE);
  // A cookie of 0 skips the check.
  CHECK_EQ(look(first.client.get(), 0, &seen), 0);
  CHECK_EQ(look(-1, cookie, &seen), -EBADF);
  CHECK_EQ(look(-1, 0, &seen), -EBADF);
}

TEST(look_tells_when_the_peer_was_heard) {
  for (const Path path : kPaths) {
    const double before = coarse_clock() - kTicks;
    const Connection connection(path);
    const double after = coarse_clock() + kTicks;
    await_silence(connection.client);
    // Reads again if the process was paused between the two readings.
    CHECK(eventually([&] {
      const Look seen = look_at(connection.client);
      return seen.heard_at >= before && seen.heard_at <= after &&
             seen.seen_at - seen.heard_at >= 1000;
    }));
    CHECK_EQ(send(connection.server.get(), "", 1, 0), 1);
    CHECK(eventually([&] { return silence_of(connection.client) < 1000; }));
    CHECK_EQ(look_at(connection.client).state, kEstablished);
    CHECK(look_at(connection.client).rto >= 200);
  }
}

TEST(look_tells_what_is_under_way) {
  const Connection connection;
  Look seen = look_at(connection.client);
  CHECK_EQ(seen.unacked, 0);
  CHECK_EQ(seen.not_sent, 0);
  must_deafen(connection.server);
  CHECK_EQ(send(connection.client.get(), "", 1, 0), 1);
  CHECK_EQ(look_at(connection.client).unacked, 1);
  CHECK(eventually([&] { return look_at(connection.client).retransmits >= 2; }));

  const Connection full;
  fill(full.client);
  CHECK(eventually([&] {
    seen = look_at(full.client);
    return seen.unacked == 0 && seen.not_sent > 0 && seen.probes > 0;
  }));
}

TEST(look_counts_unanswered_probes) {
  const Connection connection;
  must_deafen(connection.server);
  check_applied(connection.client, quiet());
  await_silence(connection.client);
  check_taken(write_keepalive(connection.client.get(), quiet(), asking(), Order::kAsk));
  CHECK(eventually([&] { return look_at(connection.client).probes == 1; }));
}

TEST(write_keepalive_asks_and_stops) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    check_applied(connection.client, five(0, 3600000, 7000, 5, 90000));
    await_silence(connection.client);
    const uint32_t sent = info_of(connection.client).tcpi_segs_out;
    const Settings before = keepalive_of(connection.client);
    check_taken(write_keepalive(connection.client.get(), before, asking(), Order::kAsk));
    CHECK(eventually([&] { return silence_of(connection.client) < 1000; }));
    check_same(keepalive_of(connection.client), asking());
    check_taken(write_keepalive(connection.client.get(), asking(), before, Order::kStop));
    check_same(keepalive_of(connection.client), before);
    let_ticks_pass();
    CHECK_EQ(info_of(connection.client).tcpi_segs_out, sent + 1);
  }
}

TEST(write_keepalive_writes_what_is_wanted_and_nothing_else) {
  const Connection connection;
  check_applied(connection.client, quiet());
  forbid_setting(kOptions[kInitialDelay].level, kOptions[kInitialDelay].option);
  forbid_setting(kOptions[kUserTimeout].level, kOptions[kUserTimeout].option);
  for (const Order order : {Order::kAsk, Order::kStop}) {
    check_taken(write_keepalive(connection.client.get(), quiet(), {}, order));
    check_same(keepalive_of(connection.client), quiet());
  }
  check_taken(
      write_keepalive(connection.client.get(), quiet(), profile({{kCount, 9}}), Order::kAsk));
  check_same(keepalive_of(connection.client), five(1, 3600000, 7000, 9, 90000));
}

// Forbids one option more each time, from the last one written to the first. Each is refused when
// all before it are written, and none after it.
void check_order(Order order, const std::array<Option, 5>& from_last_to_first) {
  const Connection connection;
  check_applied(connection.client, quiet());
  Settings other = asking();
  other.set(kEnable, 0);
  other.set(kInitialDelay, 2000000);
  for (const Option option : from_last_to_first) {
    forbid_setting(kOptions[option].level, kOptions[option].option);
    check_refused(write_keepalive(connection.client.get(), quiet(), other, order), -EPERM, option);
    check_same(keepalive_of(connection.client), quiet());
  }
}

TEST(write_keepalive_to_ask_writes_initial_delay_last) {
  check_order(Order::kAsk, {kInitialDelay, kEnable, kInterval, kCount, kUserTimeout});
}

TEST(write_keepalive_to_stop_writes_initial_delay_first) {
  check_order(Order::kStop, {kUserTimeout, kCount, kInterval, kEnable, kInitialDelay});
}

TEST(write_keepalive_to_no_socket) {
  check_refused(write_keepalive(-1, quiet(), asking(), Order::kAsk), -EBADF, kUserTimeout);
}

TEST(read_keepalive_of_mptcp) {
  const Connection connection(Path::kIpv4, IPPROTO_MPTCP, IPPROTO_MPTCP);
  const Settings settings = keepalive_of(connection.client);
  for (const Option option : {kEnable, kInitialDelay, kInterval, kCount})
    CHECK(settings.has(option));
  int value;
  const bool has = get_int(connection.client.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &value) == 0;
  CHECK_EQ(settings.has(kUserTimeout), has);
  Look seen;
  CHECK_EQ(look(connection.client.get(), cookie_of(connection.client), &seen), 0);
  CHECK_EQ(seen.state, kEstablished);
}

struct TimerReading {
  int error;
  uint32_t due;
};

TimerReading read_timer(int fd, uint64_t cookie) {
  TimerReading reading = {};
  reading.error = KeepaliveTimers().read(fd, cookie, &reading.due);
  return reading;
}

TimerReading timer_of(const Descriptor& socket) {
  return read_timer(socket.get(), cookie_of(socket));
}

TEST(keepalive_timer_is_due_when_the_silence_reaches_initial_delay) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    for (const Descriptor* socket : {&connection.client, &connection.server}) {
      check_applied(*socket, quiet());
      // Reads again if the process was paused between the two readings.
      const auto is_due = [&] {
        const TimerReading timer = timer_of(*socket);
        const double due = static_cast<double>(timer.due) + silence_of(*socket);
        return timer.error == 0 && due >= 3600000 - kTicks && due <= 3600000 + kTicks;
      };
      CHECK(eventually(is_due));
      await_silence(*socket);
      CHECK(eventually(is_due));
    }
  }
}

// No option shows that.
TEST(keepalive_timer_is_due_an_interval_after_a_probe) {
  const Connection connection;
  must_deafen(connection.server);
  check_applied(connection.client, five(1, 1000, 50000, 5, 0));
  CHECK(eventually([&] { return look_at(connection.client).probes == 1; }));
  const TimerReading timer = timer_of(connection.client);
  CHECK_EQ(timer.error, 0);
  CHECK(timer.due <= 50000);
  CHECK(timer.due > 50000 - kPatience);
}

TEST(keepalive_timer_of_a_socket_bound_to_a_device) {
  const Connection connection;
  check_applied(connection.client, quiet());
  const char device[] = "lo";
  if (setsockopt(connection.client.get(), SOL_SOCKET, SO_BINDTODEVICE, device, sizeof(device)) != 0)
    SKIP("this process may not bind to a device");
  CHECK(timer_of(connection.client).due > 0);
}

TEST(keepalive_timer_that_is_not_set) {
  const Connection connection;
  CHECK_EQ(timer_of(connection.client).error, -ENOENT);
  check_applied(connection.client, quiet());
  CHECK(timer_of(connection.client).due > 0);
  CHECK_EQ(read_timer(connection.client.get(), cookie_of(connection.server)).error, -ENOENT);
  must_deafen(connection.server);
  CHECK_EQ(send(connection.client.get(), "", 1, 0), 1);
  CHECK_EQ(timer_of(connection.client).error, -ENOENT);
}

TEST(keepalive_timer_of_what_is_not_connected) {
  CHECK_EQ(read_timer(-1, 0).error, -EBADF);
  const Descriptor file(open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK_EQ(read_timer(file.get(), 0).error, -ENOTSOCK);
  const Descriptor socket = open_socket(Path::kIpv4);
  CHECK_EQ(timer_of(socket).error, -ENOTCONN);
}

TEST(keepalive_timer_without_room_for_a_descriptor) {
  const Connection connection;
  check_applied(connection.client, quiet());
  allow_more_descriptors(false);
  CHECK_EQ(timer_of(connection.client).error, -EMFILE);
  allow_more_descriptors(true);
  CHECK(timer_of(connection.client).due > 0);
}

}  // namespace

}  // namespace deadpeer
