#pragma once

namespace deadpeer {

// Which of several system calls failed, and why.
struct Failure {
  int error = 0;                  // 0 or -errno
  const char* syscall = nullptr;  // its name; null where the kernel carried the call out
};

}  // namespace deadpeer
