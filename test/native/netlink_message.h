#pragma once

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cstdint>
#include <vector>

namespace deadpeer {

using Bytes = std::vector<uint8_t>;

// Which dump the messages below belong to.
constexpr uint32_t kSequence = 7;
constexpr uint32_t kPort = 4711;

// As the kernel would put them together; each function appends.
struct Datagram {
  Bytes bytes;

  Datagram& message(uint16_t type, const Bytes& payload, uint16_t flags = NLM_F_MULTI);
  // Each with a cookie of its own.
  Datagram& socket(uint8_t state, const Bytes& attributes = {}, uint16_t flags = NLM_F_MULTI);
  Datagram& done(uint16_t flags = NLM_F_MULTI);

  uint32_t sequence = kSequence;
  uint32_t port = kPort;

  static inline uint32_t next_cookie = 1;
};

Bytes bytes_of(int value);
Bytes attribute(uint16_t type, const Bytes& payload);
Bytes operator+(Bytes first, const Bytes& second);

// The datagrams of a dump of test/fixtures/sock-diag, or what is to be made of them.
struct RecordedDump {
  std::vector<Bytes> datagrams;
  uint32_t sequence;
  uint32_t port;
};
RecordedDump recorded_dump(const char* name);
Bytes file(const char* name);

}  // namespace deadpeer
