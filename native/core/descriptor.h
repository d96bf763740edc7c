#pragma once

#include <unistd.h>

namespace deadpeer {

// Owns a descriptor that this library opened itself. Descriptors that callers
// hand in are plain ints: they are borrowed and never closed here.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace deadpeer
