#include "core/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace deadpeer {

namespace {

constexpr int kLastSignal = 31;

// Node sets FD_CLOEXEC on every descriptor that it inherits, and makes pipes non-blocking when it
// first writes to them.
void pass_on(int fd) {
  const int flags = fcntl(fd, F_GETFD);
  if (flags >= 0) fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
  if (fd > STDERR_FILENO) return;
  const int status = fcntl(fd, F_GETFL);
  if (status >= 0) fcntl(fd, F_SETFL, status & ~O_NONBLOCK);
}

// Node ignores SIGPIPE, and an ignored signal stays ignored in the next program.
void reset_signals() {
  for (int number = 1; number <= kLastSignal; number++) signal(number, SIG_DFL);
}

}  // namespace

int exec_program(char* arguments, size_t size, int last_descriptor) {
  if (size == 0 || arguments[size - 1] != '\0') return -EINVAL;
  size_t count = 0;
  for (size_t i = 0; i < size; i++) count += arguments[i] == '\0' ? 1 : 0;
  char** list = static_cast<char**>(calloc(count + 1, sizeof(char*)));
  if (list == nullptr) return -ENOMEM;
  char* next = arguments;
  for (size_t i = 0; i < count; i++) {
    list[i] = next;
    next += strlen(next) + 1;
  }
  for (int fd = 0; fd <= last_descriptor; fd++) pass_on(fd);
  reset_signals();
  execvp(list[0], list);
  const int error = -errno;
  free(list);
  return error;
}

}  // namespace deadpeer
