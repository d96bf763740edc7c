#include "core/socket.h"

#include <netinet/in.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

namespace deadpeer {

int read_kind(int fd, SocketKind* kind) {
  if (int error = get_int(fd, SOL_SOCKET, SO_PROTOCOL, &kind->protocol)) return error;
  if (int error = get_int(fd, SOL_SOCKET, SO_DOMAIN, &kind->family)) return error;
  int type = 0;
  if (int error = get_int(fd, SOL_SOCKET, SO_TYPE, &type)) return error;
  const bool internet = kind->family == AF_INET || kind->family == AF_INET6;
  const bool tcp = kind->protocol == IPPROTO_TCP || kind->protocol == IPPROTO_MPTCP;
  // A raw socket of protocol TCP receives TCP's segments, but is not a connection.
  return internet && tcp && type == SOCK_STREAM ? 0 : -ENOPROTOOPT;
}

int read_cookie(int fd, uint64_t* cookie) {
  socklen_t length = sizeof(*cookie);
  return getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &length) == 0 ? 0 : -errno;
}

int check_cookie(int fd, uint64_t cookie) {
  uint64_t now;
  if (int error = read_cookie(fd, &now)) return error;
  return now == cookie ? 0 : -ESTALE;
}

}  // namespace deadpeer
