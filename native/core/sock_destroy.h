#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace deadpeer {

// A TCP socket as sock_diag(7) identifies it.
struct SocketId {
  uint8_t family = 0;  // AF_INET or AF_INET6
  // In network order, an IPv4 address in the first four.
  std::array<uint8_t, 16> local = {};
  std::array<uint8_t, 16> remote = {};
  uint16_t local_port = 0;
  uint16_t remote_port = 0;
  uint32_t interface = 0;  // the index of the one that the socket is bound to, or 0
  uint64_t cookie = 0;     // SO_COOKIE
};

// Ends a connection at once, whoever owns it (SOCK_DESTROY): the owner's calls fail with
// ECONNABORTED, the peer gets a RST. Only the very socket with that cookie, never another that has
// its addresses by now.
//
// Returns 0 or -errno. -EPERM: needs CAP_NET_ADMIN over the network namespace. -ENOENT: no such
// socket any more. -ENOTUNIQ: a listener that is alive, but by its address the kernel finds others
// only. -EAGAIN: the same, perhaps: listeners of its port come and go too fast to tell.
// -EOPNOTSUPP: a kernel without CONFIG_INET_DIAG_DESTROY. -EINVAL: the cookie is the one that
// stands for any.
int destroy_socket(const SocketId& id);

}  // namespace deadpeer
