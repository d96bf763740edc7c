#pragma once

#include <cstdint>

#include "core/descriptor.h"

namespace deadpeer {

// Reads the time until keepalive timers fire. No option and no field of tcp_info shows it;
// sock_diag(7) does. One netlink socket serves any number of connections.
class KeepaliveTimers {
 public:
  // `due` is in ms. Returns 0 or -errno: -ENOENT if no such timer is set, or if the socket is not
  // in the network namespace of the thread that made the first call.
  int read(int fd, uint64_t cookie, uint32_t* due);

 private:
  Descriptor netlink_{-1};
  uint32_t sequence_ = 0;
};

}  // namespace deadpeer
