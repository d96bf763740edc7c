#include "core/borrow.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/socket.h"

// The same numbers on every architecture; C libraries have no wrappers before glibc 2.36.
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

namespace deadpeer {

int borrow(pid_t pid, int fd, Descriptor* borrowed, BorrowCall* refused) {
  BorrowCall ignored;
  BorrowCall& call = refused == nullptr ? ignored : *refused;
  call = BorrowCall::kPidfdOpen;
  // Both calls set close-on-exec by themselves.
  const Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (process.get() < 0) return -errno;
  call = BorrowCall::kPidfdGetfd;
  Descriptor duplicate(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  if (duplicate.get() < 0) return -errno;
  call = BorrowCall::kGetsockopt;
  SocketKind kind;
  if (int error = read_kind(duplicate.get(), &kind)) return error;
  borrowed->reset(duplicate.release());
  return 0;
}

}  // namespace deadpeer
