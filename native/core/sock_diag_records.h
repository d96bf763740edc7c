#pragma once

#include <linux/inet_diag.h>

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

// Goes through records, from an offset on.
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

}  // namespace deadpeer
