#include "core/sock_destroy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "core/descriptor.h"
#include "core/sock_diag.h"
#include "core/sock_diag_reply.h"

#ifndef SOCK_DESTROY
#define SOCK_DESTROY 21  // Linux 4.5
#endif

namespace deadpeer {

namespace {

struct Request {
  nlmsghdr header;
  inet_diag_req_v2 socket;
};

// Any number works, because each request has its own netlink socket.
constexpr uint32_t kSequence = 1;

// Remote ports to try for each of the listeners that share a port. The kernel's choice among n is
// as good as random: the chance that 20 n tries fail is 1 in 10^8.
constexpr size_t kTriesEach = 20;
constexpr size_t kMostTries = 65535;

// This is INET_DIAG_NOCOOKIE in both halves, with which the kernel would not compare cookies.
constexpr uint64_t kAnyCookie = ~uint64_t{0};

Request make_request(const SocketId& id) {
  Request request = {};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = SOCK_DESTROY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.header.nlmsg_seq = kSequence;
  request.socket.sdiag_family = id.family;
  request.socket.sdiag_protocol = IPPROTO_TCP;
  inet_diag_sockid& socket = request.socket.id;
  socket.idiag_sport = htons(id.local_port);
  socket.idiag_dport = htons(id.remote_port);
  memcpy(socket.idiag_src, id.local.data(), id.local.size());
  memcpy(socket.idiag_dst, id.remote.data(), id.remote.size());
  socket.idiag_if = id.interface;
  socket.idiag_cookie[0] = static_cast<uint32_t>(id.cookie);
  socket.idiag_cookie[1] = static_cast<uint32_t>(id.cookie >> 32);
  return request;
}

int send_request(int netlink, const Request& request) {
  while (send(netlink, &request, sizeof(request), 0) < 0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}

// The kernel answers before send() returns, so waiting is never needed.
int receive_ack(int netlink) {
  alignas(nlmsghdr) uint8_t bytes[4096];
  // Normally there is one datagram. No known kernel sends more than a few.
  for (int message = 0; message < 16; message++) {
    sockaddr_nl sender = {};
    socklen_t sender_length = sizeof(sender);
    const ssize_t length = recvfrom(netlink, bytes, sizeof(bytes), MSG_DONTWAIT,
                                    reinterpret_cast<sockaddr*>(&sender), &sender_length);
    if (length < 0) {
      if (errno == EINTR) continue;
      return -errno;
    }
    // Other processes can write to a netlink socket too.
    if (sender.nl_pid != 0) continue;
    const int result = find_ack(bytes, static_cast<size_t>(length), kSequence);
    if (result != kNoAck) return result;
  }
  return -EPROTO;
}

int destroy_once(int netlink, const SocketId& id) {
  if (int error = send_request(netlink, make_request(id))) return error;
  return receive_ack(netlink);
}

// The number of listeners at this listener's port. -ENOENT: it is not among them.
int find_listener(const SocketId& id, size_t* listeners) {
  SocketQuery query;
  query.ipv4 = id.family == AF_INET;
  query.ipv6 = id.family == AF_INET6;
  query.states = kListening;
  query.local.port = id.local_port;
  ByteBuffer records;
  const std::atomic<bool> cancelled = false;
  const DumpOutcome outcome = dump_sockets(query, cancelled, &records);
  if (outcome.failure.error != 0) return outcome.failure.error;
  *listeners = outcome.records;
  RecordReader reader(records);
  for (inet_diag_msg socket; reader.next(&socket);) {
    if (cookie_of(socket) == id.cookie) return 0;
  }
  return outcome.interrupted ? -EAGAIN : -ENOENT;
}

// The kernel looks a listener up as for a SYN from the remote end. If several share an address
// (SO_REUSEPORT), a hash of both ends chooses one, and the cookie is compared with that one alone.
// Other remote ends lead to the other listeners. The cookie keeps other listeners from being
// destroyed.
int destroy_listener(int netlink, const SocketId& id) {
  size_t listeners;
  if (int error = find_listener(id, &listeners)) return error;
  SocketId asked = id;
  for (size_t port = 1; port <= std::min(kTriesEach * listeners, kMostTries); port++) {
    asked.remote_port = static_cast<uint16_t>(port);
    const int error = destroy_once(netlink, asked);
    if (error != -ENOENT) return error;
  }
  // The listener may have been closed meanwhile.
  if (int error = find_listener(id, &listeners)) return error;
  return -ENOTUNIQ;
}

}  // namespace

int destroy_socket(const SocketId& id) {
  if (id.cookie == kAnyCookie) return -EINVAL;
  const Descriptor netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (netlink.get() < 0) return -errno;
  const int error = destroy_once(netlink.get(), id);
  const bool may_be_listener = id.remote_port == 0;
  return error == -ENOENT && may_be_listener ? destroy_listener(netlink.get(), id) : error;
}

}  // namespace deadpeer
