#include "core/borrow.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/socket.h"

// The numbers are the same on every architecture. C libraries have no wrappers before glibc 2.36.
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

namespace deadpeer {

namespace {

// Both calls set close-on-exec themselves.
int open_process(pid_t pid, Descriptor* process) {
  process->reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  return process->get() < 0 ? -errno : 0;
}

Failure borrow_from(const Descriptor& process, int fd, Descriptor* borrowed) {
  Descriptor duplicate(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  if (duplicate.get() < 0) return {-errno, "pidfd_getfd"};
  SocketKind kind;
  if (int error = read_kind(duplicate.get(), &kind)) return {error, "getsockopt"};
  borrowed->reset(duplicate.release());
  return {};
}

Failure read_options(const Descriptor& process, OwnersOptions* socket) {
  Descriptor borrowed(-1);
  const Failure failed = borrow_from(process, socket->fd, &borrowed);
  if (failed.error != 0) return failed;
  int error = check_cookie(borrowed.get(), socket->cookie);
  if (error == 0) error = read(borrowed.get(), &socket->settings);
  return {error, "getsockopt"};
}

}  // namespace

Failure borrow(pid_t pid, int fd, Descriptor* borrowed) {
  Descriptor process(-1);
  if (int error = open_process(pid, &process)) return {error, "pidfd_open"};
  return borrow_from(process, fd, borrowed);
}

void read_options_of(pid_t pid, OwnersOptions* sockets, size_t count) {
  Descriptor process(-1);
  const int unopened = open_process(pid, &process);
  for (size_t i = 0; i < count; i++) {
    sockets[i].failure =
        unopened != 0 ? Failure{unopened, "pidfd_open"} : read_options(process, &sockets[i]);
  }
}

}  // namespace deadpeer
