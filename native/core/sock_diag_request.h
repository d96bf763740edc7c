#pragma once

#include <linux/inet_diag.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace deadpeer {

// Bytes of an address: 4 for AF_INET, 16 for AF_INET6, otherwise 0.
size_t address_size(uint8_t family);

// What one end of a connection must match. The defaults match any.
struct EndpointCondition {
  static constexpr int kAnyPort = -1;

  int port = kAnyPort;
  // An IPv4 prefix also matches IPv6 sockets that carry IPv4 (::ffff:0:0/96).
  uint8_t family = AF_UNSPEC;
  uint8_t prefix_length = 0;
  std::array<uint8_t, 16> address = {};  // the first 4 bytes for AF_INET

  bool any() const { return port == kAnyPort && family == AF_UNSPEC; }
};

// The bit of TCP_LISTEN among the states (include/net/tcp_states.h, not exported to user space).
constexpr uint32_t kListening = 1 << 10;

// Which TCP sockets to list, and which data of them.
struct SocketQuery {
  bool ipv4 = true;
  bool ipv6 = true;
  uint32_t states = 0;  // a bit for each state: 1 << its number in tcp_info
  bool with_info = false;
  EndpointCondition local;
  EndpointCondition remote;
};

// Requests to NETLINK_SOCK_DIAG, sock_diag(7), ready to send.
struct DiagRequest {
  // Header, inet_diag_req, attribute header, and two conditions with an IPv6 address each; or
  // header and inet_diag_req_v2 for so many sockets.
  static constexpr size_t kMostSockets = 6;
  static constexpr size_t kCapacity = kMostSockets * (16 + 56);

  alignas(4) std::array<uint8_t, kCapacity> bytes = {};
  size_t length = 0;
};

// Everything that a query requests.
DiagRequest build_dump_request(const SocketQuery& query, uint32_t sequence);

// Single sockets, at most kMostSockets. The kernel answers each separately, with a record or
// -ENOENT. The first has `sequence`, the next `sequence` + 1, and so on.
DiagRequest build_lookup_request(const inet_diag_msg* sockets, size_t count, uint32_t sequence);

}  // namespace deadpeer
