#pragma once

namespace deadpeer {

// Makes a socket deaf: a classic BPF program (socket(7), SO_ATTACH_FILTER) that accepts no byte of
// any segment, so the kernel drops what arrives before TCP sees it. Current kernels demand
// CAP_NET_ADMIN in the socket's network namespace for that: -EPERM without.
int deafen(int fd);

// Takes the program away again. -ENOENT where there is none.
int undeafen(int fd);

}  // namespace deadpeer
