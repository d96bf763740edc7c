#include "core/sock_diag_records.h"

#include <errno.h>

#include <algorithm>
#include <cstring>

namespace deadpeer {

uint64_t cookie_of(const inet_diag_msg& socket) {
  return socket.id.idiag_cookie[0] | uint64_t{socket.id.idiag_cookie[1]} << 32;
}

bool RecordReader::next(inet_diag_msg* socket) {
  constexpr size_t kHead = sizeof(*socket) + sizeof(uint32_t);
  start_ = end_;
  if (records_.size() - start_ < kHead) return false;
  uint32_t info_length;
  memcpy(socket, bytes(), sizeof(*socket));
  memcpy(&info_length, bytes() + sizeof(*socket), sizeof(info_length));
  end_ += kHead + (size_t{info_length} + 3) / 4 * 4;
  return true;
}

bool are_same_sockets(const ByteBuffer& list, size_t start, const ByteBuffer& other) {
  RecordReader left(list, start);
  RecordReader right(other);
  inet_diag_msg x;
  inet_diag_msg y;
  while (left.next(&x)) {
    if (!right.next(&y) || cookie_of(x) != cookie_of(y)) return false;
  }
  return !right.next(&y);
}

int add_missing(const ByteBuffer& more, ByteBuffer* list, size_t start, size_t* count) {
  if (more.size() == 0) return 0;
  // One too many, for a buffer of none is no buffer.
  ByteBuffer cookies;
  auto* known = reinterpret_cast<uint64_t*>(cookies.extend((*count + 1) * sizeof(uint64_t)));
  if (known == nullptr) return -ENOMEM;
  uint64_t* end = known;
  inet_diag_msg socket;
  for (RecordReader reader(*list, start); reader.next(&socket);) *end++ = cookie_of(socket);
  std::sort(known, end);
  for (RecordReader reader(more); reader.next(&socket);) {
    if (std::binary_search(known, end, cookie_of(socket))) continue;
    uint8_t* added = list->extend(reader.size());
    if (added == nullptr) return -ENOMEM;
    memcpy(added, reader.bytes(), reader.size());
    ++*count;
  }
  return 0;
}

}  // namespace deadpeer
