#pragma once

#include <cstdint>

namespace deadpeer {

// Filters that drop segments before TCP receives them: classic BPF programs (socket(7),
// SO_ATTACH_FILTER). A new filter replaces the old one at once; no segment passes in between.
// Current kernels require CAP_NET_ADMIN in the socket's network namespace: -EPERM without it.

// Drops all segments.
int deafen(int fd);

// Drops each segment with a probability of `share`, 0 to 1, exact to 2^-33. -EINVAL otherwise.
int lose(int fd, double share);

// Removes the filter. -ENOENT if there is none.
int undeafen(int fd);

// How many segments the kernel has dropped at this socket (SO_MEMINFO, Linux 4.12), by a filter or
// for any other reason. Wraps around.
int read_drops(int fd, uint32_t* drops);

}  // namespace deadpeer
