#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace deadpeer {

// A TCP socket as sock_diag(7) identifies it.
struct SocketId {
  uint8_t family = 0;  // AF_INET or AF_INET6
  // In network order. An IPv4 address is in the first four bytes.
  std::array<uint8_t, 16> local = {};
  std::array<uint8_t, 16> remote = {};
  uint16_t local_port = 0;
  uint16_t remote_port = 0;
  uint32_t interface = 0;  // index of the interface that the socket is bound to, or 0
  uint64_t cookie = 0;     // SO_COOKIE
};

// Ends a connection of any owner at once (SOCK_DESTROY). The owner's calls fail with ECONNABORTED,
// and the peer gets a RST. It only ends the socket with that cookie, never a later one with the
// same addresses.
//
// Returns 0 or -errno. -EPERM: needs CAP_NET_ADMIN over the network namespace. -ENOENT: the socket
// no longer exists. -ENOTUNIQ: the listener exists, but the kernel finds only other listeners by
// its address. -EAGAIN: the listeners of its port change too fast to find it. -EOPNOTSUPP: a kernel
// without CONFIG_INET_DIAG_DESTROY. -EINVAL: the cookie is the one that matches any socket.
int destroy_socket(const SocketId& id);

}  // namespace deadpeer
