#include "core/keepalive_timer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "core/descriptor.h"
#include "core/sock_diag_request.h"
#include "core/socket.h"

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62  // Linux 5.0
#endif

namespace deadpeer {

namespace {

// Values of idiag_timer. linux/inet_diag.h has no names for them.
constexpr uint8_t kKeepaliveTimer = 2;

using Name = int (*)(int, sockaddr*, socklen_t*);

int read_end(int fd, Name name, uint8_t* family, uint32_t* address, uint16_t* port) {
  sockaddr_storage end = {};
  socklen_t length = sizeof(end);
  if (name(fd, reinterpret_cast<sockaddr*>(&end), &length) != 0) return -errno;
  *family = static_cast<uint8_t>(end.ss_family);
  if (end.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(end);
    memcpy(address, &v4.sin_addr, sizeof(v4.sin_addr));
    *port = v4.sin_port;
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(end);
    memcpy(address, &v6.sin6_addr, sizeof(v6.sin6_addr));
    *port = v6.sin6_port;
  }
  return 0;
}

int identify(int fd, uint64_t cookie, inet_diag_msg* socket) {
  *socket = {};
  uint8_t& family = socket->idiag_family;
  inet_diag_sockid& id = socket->id;
  if (int error = read_end(fd, getsockname, &family, id.idiag_src, &id.idiag_sport)) return error;
  if (int error = read_end(fd, getpeername, &family, id.idiag_dst, &id.idiag_dport)) return error;
  int interface = 0;
  get_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &interface);
  id.idiag_if = static_cast<uint32_t>(interface);
  id.idiag_cookie[0] = static_cast<uint32_t>(cookie);
  id.idiag_cookie[1] = static_cast<uint32_t>(cookie >> 32);
  return 0;
}

}  // namespace

int KeepaliveTimers::read(int fd, uint64_t cookie, uint32_t* due) {
  inet_diag_msg wanted;
  if (int error = identify(fd, cookie, &wanted)) return error;
  if (netlink_.get() < 0) {
    netlink_.reset(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (netlink_.get() < 0) return -errno;
  }
  const DiagRequest request = build_lookup_request(&wanted, 1, ++sequence_);
  if (send(netlink_.get(), request.bytes.data(), request.length, 0) < 0) return -errno;

  // The kernel answers before send() returns. A datagram that has already arrived comes from
  // another process, or answers an earlier request whose answer could not be received.
  for (;;) {
    alignas(nlmsghdr) uint8_t bytes[4096];
    sockaddr_nl sender = {};
    socklen_t sender_length = sizeof(sender);
    const ssize_t length = recvfrom(netlink_.get(), bytes, sizeof(bytes), MSG_DONTWAIT,
                                    reinterpret_cast<sockaddr*>(&sender), &sender_length);
    if (length < 0) return -errno;
    nlmsghdr header;
    if (sender.nl_pid != 0 || static_cast<size_t>(length) < sizeof(header)) continue;
    memcpy(&header, bytes, sizeof(header));
    if (header.nlmsg_seq != sequence_) continue;
    inet_diag_msg found;
    if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        static_cast<size_t>(length) < NLMSG_HDRLEN + sizeof(found)) {
      return -ENOENT;
    }
    memcpy(&found, bytes + NLMSG_HDRLEN, sizeof(found));
    if (found.idiag_timer != kKeepaliveTimer) return -ENOENT;
    *due = found.idiag_expires;
    return 0;
  }
}

}  // namespace deadpeer
