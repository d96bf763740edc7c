#pragma once

#include <linux/inet_diag.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/byte_buffer.h"

namespace deadpeer {

// Which replies belong to a dump. Anything else on the socket is left over from somebody else.
struct DumpIdentity {
  uint32_t sequence;
  uint32_t port;
  uint32_t states;  // as asked for
};

// The sockets that the kernel counted last, also those that were left out for their state.
class RecentSockets {
 public:
  // A hash bucket seldom has more: the kernel makes one for each 128 KiB of memory.
  static constexpr size_t kMost = 6;

  size_t count() const { return count_; }
  const inet_diag_msg* begin() const { return sockets_.data(); }
  const inet_diag_msg* end() const { return begin() + count_; }

  void add(const inet_diag_msg& socket) {
    sockets_[next_] = socket;
    next_ = (next_ + 1) % kMost;
    if (count_ < kMost) count_++;
  }

 private:
  std::array<inet_diag_msg, kMost> sockets_;
  size_t next_ = 0;
  size_t count_ = 0;
};

// How far a dump has come.
struct DumpProgress {
  size_t records = 0;
  bool heard = false;  // something that belongs to it has come
  bool done = false;
  bool interrupted = false;  // what came may not be all there was
  int error = 0;             // -errno: the kernel's answer, or that there is no memory
  RecentSockets recent;
};

// Takes in one datagram, appending a record (sock_diag_records.h) for each socket in it that was
// not the end of the datagram before. Pure: reads nothing but `bytes`, whatever is in them, and
// every message once at most.
void parse_dump(const uint8_t* bytes, size_t length, const DumpIdentity& identity,
                ByteBuffer* records, DumpProgress* progress);

// Whether a datagram answers a lookup of several sockets, the first of which has `sequence`.
enum class LookupAnswer { kOther, kThere, kGone };
LookupAnswer parse_lookup(const uint8_t* bytes, size_t length, uint32_t port, uint32_t sequence,
                          size_t count);

}  // namespace deadpeer
