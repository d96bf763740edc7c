#include "core/filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <cmath>
#include <cstddef>

#include "core/socket.h"

#ifndef SO_MEMINFO
#define SO_MEMINFO 55  // Linux 4.12
#endif

namespace deadpeer {

namespace {

// A filter returns how many bytes of the segment to keep. The peer would have to send the rest
// again. So the filter keeps all bytes or none.
constexpr sock_filter kKeep = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
constexpr sock_filter kDrop = BPF_STMT(BPF_RET | BPF_K, 0);

template <size_t size>
int attach(int fd, sock_filter (&program)[size]) {
  const sock_fprog attached = {size, program};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof(attached)) == 0 ? 0
                                                                                        : -errno;
}

}  // namespace

int deafen(int fd) {
  sock_filter drop_all[] = {kDrop};
  return attach(fd, drop_all);
}

int lose(int fd, double share) {
  if (!(share >= 0 && share <= 1)) return -EINVAL;
  const uint64_t threshold = static_cast<uint64_t>(std::llround(std::ldexp(share, 32)));
  // Every random 32-bit number is below 2^32, which does not fit into 32 bits.
  if (threshold > UINT32_MAX) return deafen(fd);
  constexpr uint32_t kRandom = static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM);
  sock_filter drop_below[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kRandom),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, static_cast<uint32_t>(threshold), 0, 1),
      kKeep,
      kDrop,
  };
  return attach(fd, drop_below);
}

int undeafen(int fd) {
  return set_int(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

int read_drops(int fd, uint32_t* drops) {
  uint32_t info[SK_MEMINFO_VARS] = {};
  socklen_t length = sizeof(info);
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length) != 0) return -errno;
  *drops = info[SK_MEMINFO_DROPS];
  return 0;
}

}  // namespace deadpeer
