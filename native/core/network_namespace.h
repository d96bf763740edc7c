#pragma once

#include <sys/types.h>

#include <cstdint>

#include "core/failure.h"

namespace deadpeer {

// Which network namespace a socket is in: SO_NETNS_COOKIE, unique until the system is rebooted.
// Returns 0 or -errno; -ENOPROTOOPT before Linux 5.14.
int read_network_cookie(int fd, uint64_t* cookie);

// The namespace of the calling thread. A socket that it opens is in that namespace.
int read_own_network_cookie(uint64_t* cookie);

// Runs `work(argument)` in the network namespace of process `pid` and returns when it is done. If
// `pid` is 0, or the calling thread is already in that namespace, the work runs on the calling
// thread. Otherwise it runs on a new thread, which enters the namespace and then ends. A thread of
// libuv's pool that stayed there would open the program's sockets in the wrong namespace.
//
// If a call on the way into the namespace fails, the work has not run. open: -ENOENT or -ESRCH, no
// such process; -EACCES, it requires PTRACE_MODE_READ_FSCREDS (ptrace(2)). setns: -EPERM, it
// requires CAP_SYS_ADMIN in the user namespace that owns the network namespace, and in the
// caller's.
// pthread_create: -EAGAIN.
Failure run_in_network_namespace_of(pid_t pid, void (*work)(void*), void* argument);

// The same for the network namespace of a socket, always on a new thread. ioctl: -EPERM, SIOCGSKNS
// requires CAP_NET_ADMIN over that namespace.
Failure run_in_network_namespace_of_socket(int fd, void (*work)(void*), void* argument);

template <typename Work>
Failure in_network_namespace_of(pid_t pid, Work work) {
  return run_in_network_namespace_of(
      pid, [](void* argument) { (*static_cast<Work*>(argument))(); }, &work);
}

template <typename Work>
Failure in_network_namespace_of_socket(int fd, Work work) {
  return run_in_network_namespace_of_socket(
      fd, [](void* argument) { (*static_cast<Work*>(argument))(); }, &work);
}

}  // namespace deadpeer
