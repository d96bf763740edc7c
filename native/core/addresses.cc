#include "core/addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

namespace deadpeer {

namespace {

int decode(const sockaddr_storage& name, Address* address) {
  *address = {};
  address->family = name.ss_family;
  if (name.ss_family == AF_INET) {
    sockaddr_in ipv4;
    memcpy(&ipv4, &name, sizeof(ipv4));
    address->port = ntohs(ipv4.sin_port);
    memcpy(address->bytes, &ipv4.sin_addr, sizeof(ipv4.sin_addr));
    return 0;
  }
  if (name.ss_family != AF_INET6) return -EAFNOSUPPORT;
  sockaddr_in6 ipv6;
  memcpy(&ipv6, &name, sizeof(ipv6));
  address->port = ntohs(ipv6.sin6_port);
  memcpy(address->bytes, &ipv6.sin6_addr, sizeof(ipv6.sin6_addr));
  // The name stays empty if the interface no longer exists.
  if (IN6_IS_ADDR_LINKLOCAL(&ipv6.sin6_addr)) if_indextoname(ipv6.sin6_scope_id, address->zone);
  return 0;
}

// getpeername(2) fails with ENOTCONN once the connection is in state CLOSE. SO_PEERNAME returns the
// address in that state too. The buffer must have exactly the size of the address.
int read_peer_name(int fd, socklen_t length, sockaddr_storage* name) {
  if (getsockopt(fd, SOL_SOCKET, SO_PEERNAME, name, &length) == 0) return 0;
  // Sandboxes that emulate Linux do not have the option.
  length = sizeof(*name);
  return getpeername(fd, reinterpret_cast<sockaddr*>(name), &length) == 0 ? 0 : -errno;
}

}  // namespace

int read_addresses(int fd, Addresses* addresses) {
  sockaddr_storage name = {};
  socklen_t length = sizeof(name);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) return -errno;
  if (int error = decode(name, &addresses->local)) return error;
  name = {};
  if (int error = read_peer_name(fd, length, &name)) return error;
  return decode(name, &addresses->remote);
}

}  // namespace deadpeer
