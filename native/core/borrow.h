#pragma once

#include <sys/types.h>

#include <cstdint>

#include "core/descriptor.h"
#include "core/failure.h"
#include "core/options.h"

namespace deadpeer {

// Takes a descriptor of our own, close-on-exec, for a TCP socket that is descriptor `fd` of process
// `pid`: pidfd_open(2), pidfd_getfd(2), Linux 5.6. It is a second reference to that connection: the
// owner's close() sends no FIN while it is held.
//
// pidfd_open: -ESRCH, no such process; -EINVAL, and -ENOENT since Linux 6.15, a thread that leads
// no process. pidfd_getfd: -EBADF, the process has no such descriptor; -EPERM, it may not be traced
// (ptrace(2), PTRACE_MODE_ATTACH_REALCREDS). Both: -ENOSYS, the kernel is older, or a sandbox says
// so. getsockopt: as read_kind. Nothing is held after a failure.
//
// Closing the descriptor can block for up to SO_LINGER, also where the socket does not block: if
// the owner has set that option and closed its own descriptor meanwhile, and the peer has not
// acknowledged everything, then ours is the last reference and the kernel waits in close(2)
// (inet_release, __tcp_close). Preventing that would mean changing the owner's option.
Failure borrow(pid_t pid, int fd, Descriptor* borrowed);

// One socket of many in the same process, and what was read of it.
struct OwnersOptions {
  int fd;           // the number of the descriptor there
  uint64_t cookie;  // which socket that is meant to be
  Settings settings;
  Failure failure;  // as borrow; -ESTALE: another socket by now
};

// Reads the options of many sockets of one process. It opens the process once, and borrows the
// sockets one at a time, each for just as long as that takes.
void read_options_of(pid_t pid, OwnersOptions* sockets, size_t count);

}  // namespace deadpeer
