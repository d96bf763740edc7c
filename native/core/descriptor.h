#pragma once

#include <unistd.h>

namespace deadpeer {

// Owns a descriptor that this library opened itself. Descriptors from callers are plain ints: they
// are borrowed and never closed here.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }

  // Closes the descriptor that it owns, and owns `fd` from then on.
  void reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

  // Releases the descriptor; the caller must close it.
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

}  // namespace deadpeer
