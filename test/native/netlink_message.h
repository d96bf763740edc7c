#pragma once

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cstdint>
#include <vector>

namespace deadpeer {

using Bytes = std::vector<uint8_t>;

// The dump that the messages below belong to.
constexpr uint32_t kSequence = 7;
constexpr uint32_t kPort = 4711;

// Messages as the kernel would build them. Each function appends one.
struct Datagram {
  Bytes bytes;

  Datagram& message(uint16_t type, const Bytes& payload, uint16_t flags = NLM_F_MULTI);
  // Each record has a different cookie.
  Datagram& socket(uint8_t state, const Bytes& attributes = {}, uint16_t flags = NLM_F_MULTI);
  Datagram& done(uint16_t flags = NLM_F_MULTI);

  uint32_t sequence = kSequence;
  uint32_t port = kPort;

  static inline uint32_t next_cookie = 1;
};

Bytes bytes_of(int value);
Bytes attribute(uint16_t type, const Bytes& payload);
Bytes operator+(Bytes first, const Bytes& second);

// The datagrams of a recorded dump in test/fixtures/sock-diag, or what they must decode to.
struct RecordedDump {
  std::vector<Bytes> datagrams;
  uint32_t sequence;
  uint32_t port;
};
RecordedDump recorded_dump(const char* name);
Bytes file(const char* name);

}  // namespace deadpeer
