#pragma once

#include <linux/inet_diag.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/byte_buffer.h"

namespace deadpeer {

// A record, as many of them follow each other in a buffer:
//
//   inet_diag_msg            72 bytes, linux/inet_diag.h, as the kernel filled it in
//   uint32_t info_length     0 where there is none
//   tcp_info                 info_length bytes, padded to a multiple of 4

uint64_t cookie_of(const inet_diag_msg& socket);

// Iterates over records, from an offset on.
class RecordReader {
 public:
  explicit RecordReader(const ByteBuffer& records, size_t start = 0)
      : records_(records), start_(start), end_(start) {}

  // False behind the last one.
  bool next(inet_diag_msg* socket);

  // Of the one that next() read.
  const uint8_t* bytes() const { return records_.data() + start_; }
  size_t size() const { return end_ - start_; }

 private:
  const ByteBuffer& records_;
  size_t start_;
  size_t end_;
};

// Whether two lists, one of them from an offset on, have the same sockets in the same order.
bool are_same_sockets(const ByteBuffer& list, size_t start, const ByteBuffer& other);

// Adds those of `more` that are not among the `count` records of `list` from an offset on, and
// counts them. 0 or -ENOMEM.
int add_missing(const ByteBuffer& more, ByteBuffer* list, size_t start, size_t* count);

// Which replies belong to a dump. Any other message belongs to another request.
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

// Takes in one datagram, appending a record for each socket in it that was
// not the end of the datagram before. Pure: reads nothing but `bytes`, whatever is in them, and
// every message once at most.
void parse_dump(const uint8_t* bytes, size_t length, const DumpIdentity& identity,
                ByteBuffer* records, DumpProgress* progress);

// Looks for the acknowledgement of a request in what a netlink socket received. Returns what it
// says, 0 or -errno, or kNoAck where there is none. Takes any bytes.
constexpr int kNoAck = 1;
int find_ack(const uint8_t* bytes, size_t length, uint32_t sequence);

// Whether a datagram answers a lookup of several sockets, the first of which has `sequence`.
enum class LookupAnswer { kOther, kThere, kGone };
LookupAnswer parse_lookup(const uint8_t* bytes, size_t length, uint32_t port, uint32_t sequence,
                          size_t count);

}  // namespace deadpeer
