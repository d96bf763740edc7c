#pragma once

#include <sys/types.h>

#include "core/descriptor.h"

namespace deadpeer {

// Takes a descriptor of our own, close-on-exec, for a TCP socket that is descriptor `fd` of process
// `pid`: pidfd_open(2), pidfd_getfd(2), Linux 5.6. It is a second reference to that connection: the
// owner's close() sends no FIN while it is held.
//
// Returns 0 or -errno. -ESRCH: no such process. -EINVAL, and -ENOENT since Linux 6.15: a thread
// that leads no process. -EBADF: the process has no such descriptor. -EPERM: it may not be traced
// (ptrace(2), PTRACE_MODE_ATTACH_REALCREDS). -ENOSYS: the kernel is older, or a sandbox says that
// it is. -ENOTSOCK, -ENOPROTOOPT: as read_kind; nothing is held then.
int borrow(pid_t pid, int fd, Descriptor* borrowed);

}  // namespace deadpeer
