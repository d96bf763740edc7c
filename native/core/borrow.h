#pragma once

#include <sys/types.h>

#include <cstdint>

#include "core/descriptor.h"
#include "core/failure.h"
#include "core/options.h"

namespace deadpeer {

// Makes a descriptor of our own, close-on-exec, for a TCP socket that is descriptor `fd` of process
// `pid`: pidfd_open(2), pidfd_getfd(2), Linux 5.6. It is a second reference to that connection:
// while it is held, the owner's close() sends no FIN.
//
// pidfd_open: -ESRCH, no such process; -EINVAL, and -ENOENT since Linux 6.15, the id of a thread
// that leads no process. pidfd_getfd: -EBADF, the process has no such descriptor; -EPERM, it may
// not be traced (ptrace(2), PTRACE_MODE_ATTACH_REALCREDS). Both: -ENOSYS, an older kernel, or a
// sandbox that reports that. getsockopt: as read_kind. After a failure nothing is held.
//
// Closing the descriptor can block for up to SO_LINGER, even if the socket is non-blocking. That
// needs an owner that has set the option and closed its own descriptor meanwhile, and a peer that
// has not acknowledged everything. Ours is then the last reference, and the kernel waits in
// close(2) (inet_release, __tcp_close). To prevent that, we would have to change the owner's
// option.
Failure borrow(pid_t pid, int fd, Descriptor* borrowed);

// One of many sockets of the same process, and what was read from it.
struct OwnersOptions {
  int fd;           // the descriptor's number there
  uint64_t cookie;  // which socket that must be
  Settings settings;
  Failure failure;  // as borrow(); -ESTALE: the number is another socket's
};

// Reads the options of many sockets of one process. It opens the process once, and borrows one
// socket at a time, only while it reads.
void read_options_of(pid_t pid, OwnersOptions* sockets, size_t count);

}  // namespace deadpeer
