#pragma once

namespace deadpeer {

// Which of several system calls failed, and why.
struct Failure {
  int error = 0;                  // 0 or -errno
  const char* syscall = nullptr;  // its name; null if the kernel's answer was the error
};

}  // namespace deadpeer
