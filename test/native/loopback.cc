#include "loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>

#include "check.h"
#include "core/filter.h"
#include "core/socket.h"

namespace deadpeer {

namespace {

struct Address {
  sockaddr_storage bytes = {};
  socklen_t length = sizeof(bytes);

  int family() const { return bytes.ss_family; }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&bytes); }
};

Address loopback_address(Path path) {
  Address address;
  if (path == Path::kIpv4) {
    sockaddr_in v4 = {};
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&address.bytes, &v4, address.length = sizeof(v4));
  } else {
    sockaddr_in6 v6 = {};
    v6.sin6_family = AF_INET6;
    inet_pton(AF_INET6, path == Path::kIpv6 ? "::1" : "::ffff:127.0.0.1", &v6.sin6_addr);
    memcpy(&address.bytes, &v6, address.length = sizeof(v6));
  }
  return address;
}

Address address_of(const Descriptor& listener) {
  Address address;
  CHECK_EQ(getsockname(listener.get(), address.get(), &address.length), 0);
  return address;
}

int open_stream(int family, int type, int protocol) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | type, protocol);
  if (fd < 0 && errno == EAFNOSUPPORT) SKIP("no IPv6 here");
  if (fd < 0 && protocol == IPPROTO_MPTCP) SKIP("no MPTCP here: %s", strerror(errno));
  CHECK(fd >= 0);
  // Independent of the system's default (net.ipv6.bindv6only).
  if (family == AF_INET6) CHECK_EQ(set_int(fd, SOL_IPV6, IPV6_V6ONLY, 0), 0);
  return fd;
}

}  // namespace

Descriptor open_socket(Path path, int protocol) {
  return Descriptor(open_stream(path == Path::kIpv4 ? AF_INET : AF_INET6, 0, protocol));
}

Descriptor listen_on(Path path, int backlog, int protocol) {
  Address address = loopback_address(path);
  const int fd = open_stream(address.family(), 0, protocol);
  if (bind(fd, address.get(), address.length) != 0) {
    if (errno == EADDRNOTAVAIL) SKIP("no IPv6 loopback address here");
    FAIL("bind: %s", strerror(errno));
  }
  CHECK_EQ(listen(fd, backlog), 0);
  return Descriptor(fd);
}

Descriptor connect_to(const Descriptor& listener, int protocol) {
  Address address = address_of(listener);
  const int fd = open_stream(address.family(), 0, protocol);
  CHECK_EQ(connect(fd, address.get(), address.length), 0);
  return Descriptor(fd);
}

Descriptor connect_in_vain_to(const Descriptor& listener) {
  await_acceptable(listener);
  Address address = address_of(listener);
  const int fd = open_stream(address.family(), SOCK_NONBLOCK, IPPROTO_TCP);
  CHECK_EQ(connect(fd, address.get(), address.length), -1);
  CHECK_EQ(errno, EINPROGRESS);
  return Descriptor(fd);
}

Descriptor accept_from(const Descriptor& listener) {
  const int fd = accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
  CHECK(fd >= 0);
  return Descriptor(fd);
}

void await_acceptable(const Descriptor& listener) {
  pollfd readable = {listener.get(), POLLIN, 0};
  CHECK_EQ(poll(&readable, 1, -1), 1);
}

void must_deafen(const Descriptor& socket) {
  const int error = deafen(socket.get());
  if (error == -EPERM) SKIP_UNPRIVILEGED("making a socket deaf needs CAP_NET_ADMIN");
  CHECK_EQ(error, 0);
}

void fill(const Descriptor& writer) {
  static const char bytes[1 << 16] = {};
  while (send(writer.get(), bytes, sizeof(bytes), MSG_DONTWAIT) > 0) continue;
  CHECK_EQ(errno, EAGAIN);
}

}  // namespace deadpeer
