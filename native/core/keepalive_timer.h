#pragma once

#include <cstdint>

namespace deadpeer {

// In how many ms a connection's keepalive timer is due. Neither an option nor a field of tcp_info
// tells; sock_diag(7) does. Returns that, or -errno: -ENOENT where no such timer is set,
// or a socket of another network namespace.
int64_t read_keepalive_timer(int fd, uint64_t cookie);

}  // namespace deadpeer
