#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace deadpeer {

// Which network namespace a socket is in: SO_NETNS_COOKIE, unique for as long as the system runs.
// Returns 0 or -errno; -ENOPROTOOPT before Linux 5.14.
int read_network_cookie(int fd, uint64_t* cookie);

// The namespace of the calling thread, which is where a socket that it opens is.
int read_own_network_cookie(uint64_t* cookie);

// One file under /proc/sys/net, by its path from there: "ipv4/tcp_retries2".
struct Sysctl {
  std::array<char, 64> name;  // ends with a zero
  std::array<char, 64> text;
  size_t length = 0;  // of the text; 0 where it could not be read
};

// Reads files in the network namespace that a socket is in. /proc/sys/net shows every thread its
// own namespace, so a thread of ours enters that one, reads, and ends: ioctl(SIOCGSKNS), setns(2).
// Returns 0 or -errno: -EPERM without CAP_NET_ADMIN and CAP_SYS_ADMIN over that namespace.
int read_sysctls_of(int fd, Sysctl* sysctls, size_t count);

}  // namespace deadpeer
