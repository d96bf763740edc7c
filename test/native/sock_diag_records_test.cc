#include <cstring>
#include <vector>

#include "check.h"
#include "core/sock_diag_reply.h"

namespace deadpeer {

namespace {

constexpr uint64_t kLarge = 0x8000'0001'ffff'fff0;

using Cookies = std::vector<uint64_t>;

// All have different lengths: each has 4 bytes more of tcp_info than the one before, filled with
// the last byte of its cookie.
ByteBuffer records_of(const Cookies& cookies) {
  ByteBuffer records;
  uint32_t info_length = 0;
  for (const uint64_t cookie : cookies) {
    inet_diag_msg socket = {};
    socket.id.idiag_cookie[0] = static_cast<uint32_t>(cookie);
    socket.id.idiag_cookie[1] = static_cast<uint32_t>(cookie >> 32);
    uint8_t* record = records.extend(sizeof(socket) + sizeof(info_length) + info_length);
    memcpy(record, &socket, sizeof(socket));
    memcpy(record + sizeof(socket), &info_length, sizeof(info_length));
    memset(record + sizeof(socket) + sizeof(info_length), static_cast<int>(cookie), info_length);
    info_length += 4;
  }
  return records;
}

Cookies cookies_of(const ByteBuffer& records, size_t start = 0) {
  Cookies cookies;
  RecordReader reader(records, start);
  size_t length = start;
  for (inet_diag_msg socket; reader.next(&socket); length += reader.size()) {
    CHECK(reader.bytes() == records.data() + length);
    cookies.push_back(cookie_of(socket));
  }
  CHECK_EQ(length, records.size());
  return cookies;
}

TEST(records_are_read_one_after_the_other) {
  CHECK(cookies_of(ByteBuffer()).empty());
  CHECK((cookies_of(records_of({3, kLarge, 1})) == Cookies{3, kLarge, 1}));
}

TEST(lists_are_the_same_where_the_sockets_are_and_their_order) {
  const ByteBuffer list = records_of({1, 2, kLarge});
  CHECK(are_same_sockets(list, 0, records_of({1, 2, kLarge})));
  CHECK(are_same_sockets(ByteBuffer(), 0, ByteBuffer()));
  for (const auto& other :
       {Cookies{}, {1, 2}, {1, 2, kLarge, 4}, {2, 1, kLarge}, {1, 2, 0xffff'fff0}}) {
    const ByteBuffer records = records_of(other);
    CHECK(!are_same_sockets(list, 0, records));
    CHECK(!are_same_sockets(records, 0, list));
  }
  const size_t behind_the_first = sizeof(inet_diag_msg) + sizeof(uint32_t);
  CHECK(!are_same_sockets(list, behind_the_first, list));
  CHECK(are_same_sockets(list, behind_the_first, records_of({2, kLarge})));
}

TEST(missing_records_are_added_whole) {
  ByteBuffer list = records_of({9, 5, kLarge});
  size_t count = 3;
  const ByteBuffer more = records_of({kLarge, 7, 5, 8});
  CHECK_EQ(add_missing(more, &list, 0, &count), 0);
  CHECK_EQ(count, 5);
  CHECK((cookies_of(list) == Cookies{9, 5, kLarge, 7, 8}));
  // 8 was the fourth: 12 bytes of tcp_info.
  CHECK_EQ(list.data()[list.size() - 1], 8);
  CHECK_EQ(list.data()[list.size() - 12], 8);
  CHECK_EQ(add_missing(more, &list, 0, &count), 0);
  CHECK_EQ(count, 5);
}

TEST(what_comes_before_a_list_is_none_of_it) {
  ByteBuffer list = records_of({1, 2});
  const size_t start = list.size();
  size_t count = 0;
  CHECK_EQ(add_missing(records_of({2, 3}), &list, start, &count), 0);
  CHECK_EQ(count, 2);
  CHECK((cookies_of(list) == Cookies{1, 2, 2, 3}));
  CHECK_EQ(add_missing(ByteBuffer(), &list, start, &count), 0);
  CHECK_EQ(count, 2);
}

}  // namespace

}  // namespace deadpeer
