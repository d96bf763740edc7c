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

namespace {

// Both calls set close-on-exec by themselves.
int open_process(pid_t pid, Descriptor* process) {
  process->reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  return process->get() < 0 ? -errno : 0;
}

int borrow_from(const Descriptor& process, int fd, Descriptor* borrowed, BorrowCall& call) {
  call = BorrowCall::kPidfdGetfd;
  Descriptor duplicate(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  if (duplicate.get() < 0) return -errno;
  call = BorrowCall::kGetsockopt;
  SocketKind kind;
  if (int error = read_kind(duplicate.get(), &kind)) return error;
  borrowed->reset(duplicate.release());
  return 0;
}

int read_as(const Descriptor& borrowed, uint64_t wanted, Settings* settings) {
  uint64_t cookie;
  if (int error = read_cookie(borrowed.get(), &cookie)) return error;
  return cookie == wanted ? read(borrowed.get(), settings) : -ESTALE;
}

}  // namespace

int borrow(pid_t pid, int fd, Descriptor* borrowed, BorrowCall* refused) {
  BorrowCall ignored;
  BorrowCall& call = refused == nullptr ? ignored : *refused;
  call = BorrowCall::kPidfdOpen;
  Descriptor process(-1);
  if (int error = open_process(pid, &process)) return error;
  return borrow_from(process, fd, borrowed, call);
}

void read_options_of(pid_t pid, OwnersOptions* sockets, size_t count) {
  Descriptor process(-1);
  const int unopened = open_process(pid, &process);
  for (size_t i = 0; i < count; i++) {
    OwnersOptions& each = sockets[i];
    each.refused = BorrowCall::kPidfdOpen;
    each.error = unopened;
    if (unopened != 0) continue;
    Descriptor borrowed(-1);
    each.error = borrow_from(process, each.fd, &borrowed, each.refused);
    if (each.error == 0) each.error = read_as(borrowed, each.cookie, &each.settings);
  }
}

}  // namespace deadpeer
