#pragma once

#include <linux/inet_diag.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/byte_buffer.h"

namespace deadpeer {

// A record. A buffer holds one after the other:
//
//   inet_diag_msg            72 bytes, linux/inet_diag.h, as the kernel filled it in
//   uint32_t info_length     0 if there is no tcp_info
//   tcp_info                 info_length bytes, padded to a multiple of 4

uint64_t cookie_of(const inet_diag_msg& socket);

// Iterates over the records from an offset on.
class RecordReader {
 public:
  explicit RecordReader(const ByteBuffer& records, size_t start = 0)
      : records_(records), start_(start), end_(start) {}

  // Returns false after the last record.
  bool next(inet_diag_msg* socket);

  // These belong to the record that next() read.
  const uint8_t* bytes() const { return records_.data() + start_; }
  size_t size() const { return end_ - start_; }

 private:
  const ByteBuffer& records_;
  size_t start_;
  size_t end_;
};

// Whether two lists, one of them from an offset on, have the same sockets in the same order.
bool are_same_sockets(const ByteBuffer& list, size_t start, const ByteBuffer& other);

// Adds the records of `more` that are missing in `list` (`count` records from an offset on), and
// counts them. Returns 0 or -ENOMEM.
int add_missing(const ByteBuffer& more, ByteBuffer* list, size_t start, size_t* count);

// Identifies the replies to one dump. Any other message belongs to another request.
struct DumpIdentity {
  uint32_t sequence;
  uint32_t port;
  uint32_t states;  // as requested
};

// The last sockets that the kernel counted, including those left out because of their state.
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

// The progress of a dump.
struct DumpProgress {
  size_t records = 0;
  bool heard = false;  // a reply to this dump has arrived
  bool done = false;
  bool interrupted = false;  // sockets may be missing
  int error = 0;             // -errno: from the kernel, or -ENOMEM
  RecentSockets recent;
};

// Decodes one datagram. Appends a record for each socket, except those that ended the previous
// datagram. Pure: it reads only `bytes`, accepts any content, and reads each message at most once.
void parse_dump(const uint8_t* bytes, size_t length, const DumpIdentity& identity,
                ByteBuffer* records, DumpProgress* progress);

// Searches a received datagram for the acknowledgement of a request. Returns its value, 0 or
// -errno, or kNoAck if there is none. Accepts any bytes.
constexpr int kNoAck = 1;
int find_ack(const uint8_t* bytes, size_t length, uint32_t sequence);

// Whether a datagram answers a lookup of several sockets; `sequence` is the first one's.
enum class LookupAnswer { kOther, kThere, kGone };
LookupAnswer parse_lookup(const uint8_t* bytes, size_t length, uint32_t port, uint32_t sequence,
                          size_t count);

}  // namespace deadpeer
