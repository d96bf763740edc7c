#include "loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "check.h"

namespace deadpeer {

namespace {

struct Address {
  sockaddr_storage bytes = {};
  socklen_t length = sizeof(bytes);

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

Descriptor open_stream(int family, int type, int protocol) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | type, protocol);
  if (fd < 0 && errno == EAFNOSUPPORT) SKIP("no IPv6 here");
  CHECK(fd >= 0);
  return Descriptor(fd);
}

}  // namespace

Descriptor open_socket(Path path, int protocol) {
  return open_stream(path == Path::kIpv4 ? AF_INET : AF_INET6, 0, protocol);
}

Descriptor listen_on(Path path, int backlog) {
  const int fd = dup(open_socket(path).get());
  Address address = loopback_address(path);
  if (bind(fd, address.get(), address.length) != 0) {
    if (errno == EADDRNOTAVAIL) SKIP("no IPv6 loopback address here");
    FAIL("bind: %s", strerror(errno));
  }
  CHECK_EQ(listen(fd, backlog), 0);
  return Descriptor(fd);
}

Descriptor connect_to(const Descriptor& listener, int protocol) {
  Address address = address_of(listener);
  const int fd = dup(open_stream(address.bytes.ss_family, 0, protocol).get());
  CHECK_EQ(connect(fd, address.get(), address.length), 0);
  return Descriptor(fd);
}

Descriptor start_connecting_to(const Descriptor& listener) {
  Address address = address_of(listener);
  const int fd = dup(open_stream(address.bytes.ss_family, SOCK_NONBLOCK, IPPROTO_TCP).get());
  connect(fd, address.get(), address.length);
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

void fill(const Descriptor& writer) {
  static const char bytes[1 << 16] = {};
  while (send(writer.get(), bytes, sizeof(bytes), MSG_DONTWAIT) > 0) continue;
  CHECK_EQ(errno, EAGAIN);
}

}  // namespace deadpeer
