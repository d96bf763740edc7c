#include "core/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "loopback.h"

namespace deadpeer {

namespace {

void check_kind(const Descriptor& socket, int family, int protocol) {
  SocketKind kind;
  CHECK_EQ(read_kind(socket.get(), &kind), 0);
  CHECK_EQ(kind.family, family);
  CHECK_EQ(kind.protocol, protocol);
}

int kind_error(int fd) {
  SocketKind kind;
  return read_kind(fd, &kind);
}

uint64_t cookie_of(const Descriptor& socket) {
  uint64_t cookie = 0;
  CHECK_EQ(read_cookie(socket.get(), &cookie), 0);
  return cookie;
}

TEST(kind_of_ipv4) {
  const Connection connection(Path::kIpv4);
  check_kind(connection.listener, AF_INET, IPPROTO_TCP);
  check_kind(connection.client, AF_INET, IPPROTO_TCP);
  check_kind(connection.server, AF_INET, IPPROTO_TCP);
}

TEST(kind_of_ipv6) {
  const Connection connection(Path::kIpv6);
  check_kind(connection.listener, AF_INET6, IPPROTO_TCP);
  check_kind(connection.server, AF_INET6, IPPROTO_TCP);
}

TEST(kind_of_ipv6_stays_ipv6_with_an_ipv4_peer) {
  const Connection connection(Path::kMapped);
  check_kind(connection.client, AF_INET6, IPPROTO_TCP);
  check_kind(connection.server, AF_INET6, IPPROTO_TCP);
}

TEST(kind_of_mptcp) {
  const Descriptor mptcp = open_socket(Path::kIpv4, IPPROTO_MPTCP);
  check_kind(mptcp, AF_INET, IPPROTO_MPTCP);
}

TEST(kind_of_a_closed_descriptor) {
  CHECK_EQ(kind_error(-1), -EBADF);
  int closed;
  {
    const Descriptor socket = open_socket(Path::kIpv4);
    closed = socket.get();
  }
  CHECK_EQ(kind_error(closed), -EBADF);
}

TEST(kind_of_no_socket) {
  const Descriptor file(open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK_EQ(kind_error(file.get()), -ENOTSOCK);
  int ends[2];
  CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Descriptor reader(ends[0]);
  const Descriptor writer(ends[1]);
  CHECK_EQ(kind_error(reader.get()), -ENOTSOCK);
  CHECK_EQ(kind_error(writer.get()), -ENOTSOCK);
}

TEST(kind_of_udp_and_unix) {
  const Descriptor udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  CHECK_EQ(kind_error(udp.get()), -ENOPROTOOPT);
  const Descriptor local(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK_EQ(kind_error(local.get()), -ENOPROTOOPT);
}

TEST(kind_of_a_raw_socket_of_protocol_tcp) {
  const Descriptor raw(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP));
  if (raw.get() < 0) SKIP_UNPRIVILEGED("raw sockets need CAP_NET_RAW");
  CHECK_EQ(kind_error(raw.get()), -ENOPROTOOPT);
}

TEST(cookie_is_that_of_the_socket_not_of_the_descriptor) {
  const Descriptor socket = open_socket(Path::kIpv4);
  const Descriptor duplicate(fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  CHECK(duplicate.get() != socket.get());
  CHECK(cookie_of(duplicate) == cookie_of(socket));
}

TEST(cookies_of_two_sockets_differ) {
  const Connection connection;
  CHECK(cookie_of(connection.client) != cookie_of(connection.server));
  CHECK(cookie_of(connection.client) != cookie_of(connection.listener));
}

TEST(cookie_of_a_reused_number_differs) {
  int number;
  uint64_t before;
  {
    const Descriptor socket = open_socket(Path::kIpv4);
    number = socket.get();
    before = cookie_of(socket);
  }
  const Descriptor next = open_socket(Path::kIpv4);
  CHECK_EQ(next.get(), number);
  CHECK(cookie_of(next) != before);
}

TEST(cookie_of_no_socket) {
  uint64_t cookie;
  CHECK_EQ(read_cookie(-1, &cookie), -EBADF);
  const Descriptor file(open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK_EQ(read_cookie(file.get(), &cookie), -ENOTSOCK);
}

TEST(integers_are_set_read_and_refused) {
  const Descriptor socket = open_socket(Path::kIpv4);
  int value = -1;
  CHECK_EQ(get_int(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &value), 0);
  CHECK_EQ(value, 0);
  CHECK_EQ(set_int(socket.get(), SOL_SOCKET, SO_KEEPALIVE, 1), 0);
  CHECK_EQ(get_int(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &value), 0);
  CHECK_EQ(value, 1);
  constexpr int kNoSuchOption = 32767;
  CHECK_EQ(get_int(socket.get(), SOL_SOCKET, kNoSuchOption, &value), -ENOPROTOOPT);
  CHECK_EQ(set_int(socket.get(), SOL_SOCKET, kNoSuchOption, 1), -ENOPROTOOPT);
  CHECK_EQ(get_int(-1, SOL_SOCKET, SO_KEEPALIVE, &value), -EBADF);
  CHECK_EQ(set_int(-1, SOL_SOCKET, SO_KEEPALIVE, 1), -EBADF);
}

}  // namespace

}  // namespace deadpeer
