#pragma once

#include <sys/types.h>

#include <cstdint>

#include "core/descriptor.h"
#include "core/failure.h"
#include "core/options.h"

namespace deadpeer {

// Makes a descriptor of our own, close-on-exec, for a TCP socket that is descriptor `fd` of process
// `pid`: pidfd_open(2), pidfd_getfd(2), Linux 5.6. It is a second reference to that connection:
// while it is open, the owner's close() sends no FIN.
//
// pidfd_open: -ESRCH, no such process; -EINVAL, and -ENOENT since Linux 6.15, the id is that of a
// thread, not of a process. pidfd_getfd: -EBADF, the process has no such descriptor; -EPERM, it may
// not be traced (ptrace(2), PTRACE_MODE_ATTACH_REALCREDS). Both: -ENOSYS, an older kernel, or a
// sandbox that reports that. getsockopt: as read_kind. After a failure no descriptor is left open.
//
// Closing the descriptor can block for up to SO_LINGER, even if the socket is non-blocking. That
// happens only if the owner has set the option and closed its own descriptor meanwhile, and the
// peer has not acknowledged all data. Our descriptor is then the last reference, and the kernel
// waits in close(2) (inet_release, __tcp_close). Only a change of the owner's option could prevent
// that.
Failure borrow(pid_t pid, int fd, Descriptor* borrowed);

// One of many sockets of the same process, and what was read from it.
struct OwnersOptions {
  int fd;           // the descriptor's number there
  uint64_t cookie;  // the cookie of that socket
  Settings settings;
  Failure failure;  // as borrow(); -ESTALE: the number now belongs to another socket
};

// Reads the options of many sockets of one process. It opens the process once, and borrows one
// socket at a time, only while it reads.
void read_options_of(pid_t pid, OwnersOptions* sockets, size_t count);

}  // namespace deadpeer
