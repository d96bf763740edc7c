#include <linux/tcp.h>
#include <sys/socket.h>

#include "check.h"
#include "core/options.h"
#include "core/socket.h"
#include "loopback.h"
#include "profiles.h"
#include "waiting.h"

// How the kernel's keepalive timer reacts to options. tune() and on-demand probes depend on this.

namespace deadpeer {

namespace {

constexpr int kHours = 7200;

void set_tcp(const Descriptor& socket, int name, int value) {
  CHECK_EQ(set_int(socket.get(), IPPROTO_TCP, name, value), 0);
}

void set_keepalive(const Descriptor& socket, int on) {
  CHECK_EQ(set_int(socket.get(), SOL_SOCKET, SO_KEEPALIVE, on), 0);
}

struct Segments {
  explicit Segments(const Descriptor& socket) {
    const tcp_info info = info_of(socket);
    out = info.tcpi_segs_out;
    in = info.tcpi_segs_in;
  }

  uint32_t out;
  uint32_t in;
};

TEST(initial_delay_below_the_silence_probes_at_once) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    const Descriptor& client = connection.client;
    set_keepalive(client, 1);
    set_tcp(client, TCP_KEEPIDLE, kHours);
    await_silence(client);
    const Segments before(client);
    set_tcp(client, TCP_KEEPIDLE, 1);
    CHECK(eventually([&] { return Segments(client).in == before.in + 1; }));
    CHECK_EQ(Segments(client).out, before.out + 1);
    CHECK(info_of(client).tcpi_last_ack_recv < 1000);
    CHECK_EQ(info_of(client).tcpi_probes, 0);
  }
}

TEST(initial_delay_put_back_before_the_tick_sends_no_probe) {
  const Connection connection;
  const Descriptor& client = connection.client;
  set_keepalive(client, 1);
  set_tcp(client, TCP_KEEPIDLE, kHours);
  for (;;) {
    await_silence(client);
    const Segments before(client);
    // Starts right after a tick. Counts only if the next tick had not come when all was done.
    const double last_tick = coarse_clock();
    double tick = last_tick;
    while (tick == last_tick) tick = coarse_clock();
    set_tcp(client, TCP_KEEPIDLE, 1);
    set_tcp(client, TCP_KEEPIDLE, kHours);
    const bool in_one_go = coarse_clock() == tick;
    let_ticks_pass();
    if (!in_one_go) continue;
    CHECK_EQ(Segments(client).out, before.out);
    return;
  }
}

TEST(initial_delay_without_keepalive_sends_nothing) {
  const Connection connection;
  const Descriptor& client = connection.client;
  await_silence(client);
  const Segments before(client);
  set_tcp(client, TCP_KEEPIDLE, 1);
  let_ticks_pass();
  CHECK_EQ(Segments(client).out, before.out);

  set_keepalive(client, 1);
  set_tcp(client, TCP_KEEPIDLE, 1);
  CHECK(eventually([&] { return Segments(client).in == before.in + 1; }));
}

TEST(interval_count_and_user_timeout_send_nothing) {
  const Connection connection;
  const Descriptor& client = connection.client;
  set_keepalive(client, 1);
  set_tcp(client, TCP_KEEPIDLE, kHours);
  await_silence(client);
  const Segments before(client);
  set_tcp(client, TCP_KEEPINTVL, 1);
  set_tcp(client, TCP_KEEPCNT, 1);
  set_tcp(client, TCP_USER_TIMEOUT, 1);
  let_ticks_pass();
  CHECK_EQ(Segments(client).out, before.out);
  CHECK_EQ(info_of(client).tcpi_state, kEstablished);
}

}  // namespace

}  // namespace deadpeer
