#pragma once

#include <cstdint>

#include "core/descriptor.h"

namespace deadpeer {

// Reads in how many ms keepalive timers are due. Neither an option nor a field of tcp_info tells;
// sock_diag(7) does. One netlink socket serves for as many connections as are asked about.
class KeepaliveTimers {
 public:
  // `due` is in ms. Returns 0 or -errno: -ENOENT where no such timer is set, or for a socket that
  // is not in the network namespace of the thread that makes the first call.
  int read(int fd, uint64_t cookie, uint32_t* due);

 private:
  Descriptor netlink_{-1};
  uint32_t sequence_ = 0;
};

}  // namespace deadpeer
