#pragma once

#include <net/if.h>

#include <cstdint>

namespace deadpeer {

// One end of a connection. TypeScript decodes it at these offsets.
struct Address {
  uint16_t family;          // AF_INET or AF_INET6
  uint16_t port;            // in host byte order
  unsigned char bytes[16];  // IPv4: the first four
  char zone[IF_NAMESIZE];   // the interface of a link-local IPv6 address, else empty
};

struct Addresses {
  Address local;
  Address remote;
};

// Reads both addresses of a TCP connection, even after the kernel has ended it (state CLOSE), if
// the descriptor is still open. Returns 0 or -errno. -ENOTCONN: it was never connected.
// -EAFNOSUPPORT: neither IPv4 nor IPv6.
int read_addresses(int fd, Addresses* addresses);

}  // namespace deadpeer
