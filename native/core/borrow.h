#pragma once

#include <sys/types.h>

#include <cstdint>

#include "core/descriptor.h"
#include "core/options.h"

namespace deadpeer {

// The calls that it takes, in this order.
enum class BorrowCall { kPidfdOpen, kPidfdGetfd, kGetsockopt };

// Takes a descriptor of our own, close-on-exec, for a TCP socket that is descriptor `fd` of process
// `pid`: pidfd_open(2), pidfd_getfd(2), Linux 5.6. It is a second reference to that connection: the
// owner's close() sends no FIN while it is held.
//
// Returns 0 or -errno. -ESRCH: no such process. -EINVAL, and -ENOENT since Linux 6.15: a thread
// that leads no process. -EBADF: the process has no such descriptor. -EPERM: it may not be traced
// (ptrace(2), PTRACE_MODE_ATTACH_REALCREDS). -ENOSYS: the kernel is older, or a sandbox says that
// it is. -ENOTSOCK, -ENOPROTOOPT: as read_kind; nothing is held then. `refused`: which call it was.
//
// To close it may take up to SO_LINGER, also where the socket does not block: if the owner had set
// that, has closed its own in the meantime, and the peer has not acknowledged all yet, then ours is
// the last reference, and the kernel waits in close(2) (inet_release, __tcp_close). Only the
// owner's option could be changed against that, so it is left.
int borrow(pid_t pid, int fd, Descriptor* borrowed, BorrowCall* refused = nullptr);

// One socket of many in the same process, and what was read of it.
struct OwnersOptions {
  int fd;           // the number of the descriptor there
  uint64_t cookie;  // which socket that is meant to be
  Settings settings;
  int error;  // 0, or -errno as borrow; -ESTALE: another socket by now
  BorrowCall refused;
};

// Reads the options of many sockets of one process: each is borrowed for just as long as that
// takes, one at a time, and the process is opened once for all.
void read_options_of(pid_t pid, OwnersOptions* sockets, size_t count);

}  // namespace deadpeer
