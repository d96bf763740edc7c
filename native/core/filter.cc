#include "core/filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include "core/socket.h"

namespace deadpeer {

int deafen(int fd) {
  sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog program = {1, &drop_all};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0 ? 0 : -errno;
}

int undeafen(int fd) {
  return set_int(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

}  // namespace deadpeer
