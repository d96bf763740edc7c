#include "core/tcp_info.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "check.h"
#include "core/socket.h"
#include "loopback.h"
#include "waiting.h"

namespace deadpeer {

namespace {

constexpr size_t kRoom = 512;

Quiet quiet_of(const Descriptor& socket) {
  Quiet quiet;
  CHECK_EQ(read_quiet(socket.get(), &quiet), 0);
  return quiet;
}

void reset_on_close(const Descriptor& socket) {
  const linger at_once = {1, 0};
  CHECK_EQ(setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
}

TEST(tcp_info_fills_no_more_than_the_capacity) {
  const Connection connection;
  std::array<uint8_t, kRoom> bytes;
  socklen_t kernel_size = kRoom;
  CHECK_EQ(getsockopt(connection.client.get(), IPPROTO_TCP, TCP_INFO, bytes.data(), &kernel_size),
           0);
  CHECK(kernel_size < kRoom);
  for (const size_t capacity : {size_t{0}, size_t{1}, size_t{104}, size_t{232}, kRoom}) {
    constexpr uint8_t kUntouched = 0xa5;
    bytes.fill(kUntouched);
    const int length = read_tcp_info(connection.client.get(), bytes.data(), capacity);
    CHECK_EQ(length, std::min<size_t>(kernel_size, capacity));
    if (length > 0) CHECK_EQ(bytes[0], kEstablished);
    for (size_t i = static_cast<size_t>(length); i < kRoom; i++) CHECK_EQ(bytes[i], kUntouched);
  }
}

TEST(tcp_info_of_what_is_not_tcp) {
  char bytes[kRoom];
  CHECK_EQ(read_tcp_info(-1, bytes, kRoom), -EBADF);
  const Descriptor file(open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK_EQ(read_tcp_info(file.get(), bytes, kRoom), -ENOTSOCK);
  const Descriptor udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  CHECK_EQ(read_tcp_info(udp.get(), bytes, kRoom), -EOPNOTSUPP);
  const Descriptor local(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK_EQ(read_tcp_info(local.get(), bytes, kRoom), -EOPNOTSUPP);
  Quiet quiet;
  CHECK_EQ(read_quiet(-1, &quiet), -EBADF);
  CHECK_EQ(read_quiet(udp.get(), &quiet), -EOPNOTSUPP);
}

TEST(connected_is_synchronized_and_out_of_trouble) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    for (const Descriptor* end : {&connection.client, &connection.server}) {
      const Quiet quiet = quiet_of(*end);
      CHECK(quiet.synchronized);
      CHECK(!quiet.in_trouble);
      CHECK(quiet.silent_for < kPatience);
    }
  }
}

TEST(without_a_peer_nothing_is_synchronized) {
  const Descriptor fresh = open_socket(Path::kIpv4);
  CHECK(!quiet_of(fresh).synchronized);
  const Descriptor listener = listen_on(Path::kIpv4);
  CHECK(!quiet_of(listener).synchronized);
}

TEST(connecting_is_not_synchronized) {
  const Descriptor listener = listen_on(Path::kIpv4, 0);
  const Descriptor first = connect_to(listener);
  const Descriptor second = connect_in_vain_to(listener);
  CHECK_EQ(info_of(second).tcpi_state, kSynSent);
  CHECK(!quiet_of(second).synchronized);
}

TEST(half_closed_is_synchronized) {
  const Connection connection;
  CHECK_EQ(shutdown(connection.client.get(), SHUT_WR), 0);
  CHECK(eventually([&] { return info_of(connection.client).tcpi_state == kFinWait2; }));
  CHECK_EQ(info_of(connection.server).tcpi_state, kCloseWait);
  CHECK(quiet_of(connection.client).synchronized);
  CHECK(quiet_of(connection.server).synchronized);
}

TEST(reset_is_not_synchronized) {
  const Descriptor listener = listen_on(Path::kIpv4);
  const Descriptor client = connect_to(listener);
  {
    const Descriptor server = accept_from(listener);
    reset_on_close(server);
  }
  CHECK(eventually([&] { return info_of(client).tcpi_state == kClose; }));
  CHECK(!quiet_of(client).synchronized);
}

TEST(silence_is_counted_from_the_last_byte) {
  const Connection connection;
  await_silence(connection.client);
  CHECK(quiet_of(connection.client).silent_for >= 1000);
  CHECK_EQ(send(connection.server.get(), "", 1, 0), 1);
  CHECK(eventually([&] { return quiet_of(connection.client).silent_for < 1000; }));
}

TEST(silence_is_counted_from_the_last_ack) {
  const Connection connection;
  await_silence(connection.client);
  CHECK_EQ(send(connection.client.get(), "", 1, 0), 1);
  CHECK(eventually([&] { return quiet_of(connection.client).silent_for < 1000; }));
  CHECK(info_of(connection.client).tcpi_last_data_recv >= 1000);
}

TEST(closed_window_is_trouble) {
  const Connection connection;
  fill(connection.client);
  // The peer answers the window probes, and between them no answer is outstanding.
  CHECK(eventually([&] {
    const tcp_info info = info_of(connection.client);
    return info.tcpi_backoff > 0 && info.tcpi_probes == 0;
  }));
  CHECK(quiet_of(connection.client).in_trouble);
  CHECK(!quiet_of(connection.server).in_trouble);
}

TEST(retransmission_is_trouble) {
  const Connection connection;
  // Without the backoff, which would show the trouble too: thin streams can switch it off, with a
  // congestion control that has a slow-start threshold. Every system has reno.
  CHECK_EQ(setsockopt(connection.client.get(), IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
  CHECK_EQ(set_int(connection.client.get(), IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1), 0);
  must_deafen(connection.server);
  CHECK_EQ(send(connection.client.get(), "", 1, 0), 1);
  CHECK(eventually([&] { return info_of(connection.client).tcpi_retransmits > 0; }));
  CHECK_EQ(info_of(connection.client).tcpi_backoff, 0);
  CHECK(quiet_of(connection.client).in_trouble);
}

TEST(unanswered_probe_is_trouble) {
  const Connection connection;
  CHECK_EQ(set_int(connection.client.get(), SOL_SOCKET, SO_KEEPALIVE, 1), 0);
  must_deafen(connection.server);
  await_silence(connection.client);
  CHECK_EQ(set_int(connection.client.get(), IPPROTO_TCP, TCP_KEEPIDLE, 1), 0);
  CHECK(eventually([&] { return quiet_of(connection.client).in_trouble; }));
  CHECK(quiet_of(connection.client).synchronized);
}

TEST(field_is_sound_within_its_length_and_its_byte) {
  for (const Field& sound : {Field{0, 1, 0, 0, 1},
                             {272, 8, 0, 0, 280},
                             {3, 1, 0, 8, 4},
                             {3, 1, 7, 1, 4},
                             {0, 4, 0, 0, ~0u}}) {
    CHECK(is_sound(sound));
  }
  for (const Field& unsound : {Field{0, 1, 0, 0, 0},
                               {273, 8, 0, 0, 280},
                               {~0u, 8, 0, 0, 280},
                               {0, 3, 0, 0, 280},
                               {0, 0, 0, 0, 280},
                               {0, 16, 0, 0, 280},
                               {0, 1, 0, 9, 280},
                               {0, 1, 8, 1, 280},
                               {0, 1, ~0u, 1, 280},
                               {0, 2, 0, 4, 280}}) {
    CHECK(!is_sound(unsound));
  }
}

TEST(fields_are_picked_by_place_and_length) {
  unsigned char bytes[16];
  for (unsigned char i = 0; i < sizeof(bytes); i++) bytes[i] = static_cast<unsigned char>(i + 1);
  bytes[6] = 0x97;
  const Field fields[] = {
      {1, 1, 0, 0, 2},  {2, 2, 0, 0, 4}, {4, 4, 0, 0, 8},
      {8, 8, 0, 0, 16}, {6, 1, 4, 4, 7}, {6, 1, 0, 4, 12},
  };
  double out[6];
  pick_fields(bytes, 16, fields, 6, out);
  CHECK(out[0] == 2);
  CHECK(out[1] == 0x0403);
  CHECK(out[2] == 0x08970605);
  CHECK(out[3] == static_cast<double>(0x100f0e0d0c0b0a09));
  CHECK(out[4] == 9);
  CHECK(out[5] == 7);
  pick_fields(bytes, 8, fields, 6, out);
  CHECK(out[2] == 0x08970605);
  CHECK(std::isnan(out[3]));
  CHECK(std::isnan(out[5]));
  pick_fields(bytes, -EBADF, fields, 6, out);
  for (const double value : out) CHECK(std::isnan(value));
}

}  // namespace

}  // namespace deadpeer
