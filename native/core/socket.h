#pragma once

#include <errno.h>
#include <sys/socket.h>

#include <cstdint>

namespace deadpeer {

// The kind of socket that a descriptor is. All functions return 0 or -errno.
struct SocketKind {
  int family = 0;    // AF_INET or AF_INET6
  int protocol = 0;  // IPPROTO_TCP or IPPROTO_MPTCP
};

// -EBADF: not open. -ENOTSOCK: not a socket. -ENOPROTOOPT: a socket, but neither TCP nor MPTCP over
// IPv4 or IPv6.
int read_kind(int fd, SocketKind* kind);

// SO_COOKIE (socket(7)) is unique until the system is rebooted. It shows whether a descriptor's
// number now belongs to another socket.
int read_cookie(int fd, uint64_t* cookie);

// -ESTALE: the number belongs to another socket.
int check_cookie(int fd, uint64_t cookie);

// Single-integer options, the form of every option here. Inline, because each makes only one system
// call.
inline int get_int(int fd, int level, int name, int* value) {
  socklen_t length = sizeof(*value);
  return getsockopt(fd, level, name, value, &length) == 0 ? 0 : -errno;
}
inline int set_int(int fd, int level, int name, const int& value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

}  // namespace deadpeer
