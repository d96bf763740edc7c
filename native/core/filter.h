#pragma once

#include <cstdint>

namespace deadpeer {

// Filters that drop segments before TCP sees them: classic BPF programs (socket(7),
// SO_ATTACH_FILTER). One replaces the other at once, and nothing gets through in between. Current
// kernels demand CAP_NET_ADMIN in the socket's network namespace for them: -EPERM without.

// Makes a socket deaf: drops all.
int deafen(int fd);

// Drops that share of all segments at random, each by itself. 1 is deaf, 0 drops none; in between
// to within 2^-33. -EINVAL for what is no share.
int lose(int fd, double share);

// Takes the filter away again. -ENOENT where there is none.
int undeafen(int fd);

// How many segments the kernel has dropped at this socket (SO_MEMINFO, Linux 4.12), by a filter or
// for whatever reason. Wraps around.
int read_drops(int fd, uint32_t* drops);

}  // namespace deadpeer
