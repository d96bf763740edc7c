#include "core/sock_diag_reply.h"

#include <errno.h>
#include <linux/sock_diag.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>

#include "check.h"
#include "netlink_message.h"
#include "waiting.h"

namespace deadpeer {

namespace {

constexpr uint32_t kStates = 0xf7e;
constexpr DumpIdentity kIdentity = {kSequence, kPort, kStates};
constexpr size_t kHead = sizeof(inet_diag_msg) + sizeof(uint32_t);

// A copy for which AddressSanitizer detects the first byte too many.
DumpProgress parse(const Bytes& bytes, ByteBuffer* records,
                   const DumpIdentity& identity = kIdentity) {
  const auto exact = std::make_unique<uint8_t[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), exact.get());
  DumpProgress progress;
  parse_dump(exact.get(), bytes.size(), identity, records, &progress);
  return progress;
}

DumpProgress parse(const Datagram& datagram) {
  ByteBuffer records;
  return parse(datagram.bytes, &records);
}

uint32_t info_length_at(const ByteBuffer& records, size_t at) {
  uint32_t length;
  memcpy(&length, records.data() + at + sizeof(inet_diag_msg), sizeof(length));
  return length;
}

// The number of records. Fails if they do not end where the buffer does.
size_t count(const ByteBuffer& records) {
  size_t number = 0;
  size_t at = 0;
  while (at < records.size()) {
    CHECK(records.size() - at >= kHead);
    at += kHead + (info_length_at(records, at) + 3) / 4 * 4;
    number++;
  }
  CHECK_EQ(at, records.size());
  return number;
}

void check_recorded(const char* dump_name, const char* records_name) {
  const RecordedDump dump = recorded_dump(dump_name);
  ByteBuffer records;
  DumpProgress progress;
  for (const Bytes& datagram : dump.datagrams) {
    CHECK(!progress.done);
    parse_dump(datagram.data(), datagram.size(), {dump.sequence, dump.port, kStates}, &records,
               &progress);
  }
  CHECK(progress.done);
  CHECK(!progress.interrupted);
  CHECK_EQ(progress.error, 0);
  CHECK_EQ(progress.records, count(records));
  const Bytes expected = file(records_name);
  CHECK_EQ(records.size(), expected.size());
  CHECK_EQ(memcmp(records.data(), expected.data(), expected.size()), 0);
}

TEST(recorded_dumps_become_their_records) {
  check_recorded("ipv4.dump", "ipv4.records");
  check_recorded("ipv6.dump", "ipv6.records");
}

TEST(datagram_cut_anywhere_is_read_to_there_and_flagged) {
  const RecordedDump dump = recorded_dump("ipv4.dump");
  const Bytes& whole = dump.datagrams.at(0);
  size_t last = 0;
  for (size_t length = 0; length <= whole.size(); length++) {
    ByteBuffer records;
    const DumpProgress progress =
        parse(Bytes(whole.begin(), whole.begin() + static_cast<long>(length)), &records,
              {dump.sequence, dump.port, kStates});
    CHECK_EQ(progress.records, count(records));
    CHECK(progress.records >= last);
    // If it is cut between two messages, only the end is missing.
    if (progress.records == last && length > 0 && length % 4 != 0) CHECK(progress.interrupted);
    CHECK(!progress.done);
    last = progress.records;
  }
  CHECK(last > 5);
}

TEST(replies_of_another_sequence_or_port_are_not_ours) {
  Datagram other_sequence;
  other_sequence.sequence++;
  Datagram other_port;
  other_port.port++;
  for (Datagram* datagram : {&other_sequence, &other_port}) {
    datagram->socket(kEstablished).message(NLMSG_ERROR, bytes_of(-EPERM)).done();
    const DumpProgress progress = parse(*datagram);
    CHECK_EQ(progress.records, 0);
    CHECK_EQ(progress.error, 0);
    CHECK(!progress.heard);
    CHECK(!progress.done);
    CHECK(!progress.interrupted);
  }
}

TEST(unknown_attributes_are_skipped) {
  const Bytes info = {1, 2, 3, 4, 5, 6};
  const Bytes attributes = attribute(999, {9, 9, 9}) +
                           attribute(INET_DIAG_INFO | NLA_F_NET_BYTEORDER, info) +
                           attribute(0x3fff | NLA_F_NESTED, {});
  ByteBuffer records;
  const DumpProgress progress = parse(Datagram().socket(kEstablished, attributes).bytes, &records);
  CHECK_EQ(progress.records, 1);
  CHECK(!progress.interrupted);
  CHECK_EQ(info_length_at(records, 0), info.size());
  CHECK_EQ(memcmp(records.data() + kHead, info.data(), info.size()), 0);
  // Padded with zeros.
  CHECK_EQ(records.size(), kHead + 8);
  CHECK_EQ(records.data()[records.size() - 1], 0);
}

TEST(unknown_messages_are_skipped) {
  const DumpProgress progress =
      parse(Datagram().message(NLMSG_NOOP, {}).message(0x7777, {1, 2, 3}).socket(kEstablished));
  CHECK_EQ(progress.records, 1);
  CHECK(!progress.interrupted);
}

TEST(attribute_that_is_cut_off_leaves_the_socket_without_it) {
  for (const uint16_t length : {0, 3, 9, 0xffff}) {
    Bytes cut = attribute(INET_DIAG_INFO, {1, 2, 3, 4});
    memcpy(cut.data(), &length, sizeof(length));
    ByteBuffer records;
    const DumpProgress progress = parse(Datagram().socket(kEstablished, cut).bytes, &records);
    CHECK_EQ(progress.records, 1);
    CHECK(progress.interrupted);
    CHECK_EQ(info_length_at(records, 0), 0);
  }
}

TEST(message_too_short_for_a_socket_is_flagged) {
  const DumpProgress progress =
      parse(Datagram().message(SOCK_DIAG_BY_FAMILY, Bytes(71)).socket(kEstablished));
  CHECK_EQ(progress.records, 1);
  CHECK(progress.interrupted);
}

TEST(lengths_that_lead_nowhere_end_the_datagram) {
  for (const uint32_t length : {0u, 15u, 0x7fffffffu, 0xffffffffu}) {
    Datagram datagram;
    datagram.socket(kEstablished).socket(kEstablished).done();
    memcpy(&datagram.bytes[NLMSG_HDRLEN + sizeof(inet_diag_msg)], &length, sizeof(length));
    const DumpProgress progress = parse(datagram);
    CHECK_EQ(progress.records, 1);
    CHECK(progress.interrupted);
    CHECK(!progress.done);
  }
}

TEST(states_that_were_not_asked_for_are_left_out) {
  // 7: closed since the kernel checked the state. 255: garbage.
  const DumpProgress progress =
      parse(Datagram().socket(kEstablished).socket(kClose).socket(0).socket(32).socket(255));
  CHECK_EQ(progress.records, 1);
  CHECK(!progress.interrupted);
}

TEST(socket_left_out_for_its_state_is_among_those_that_were_counted) {
  ByteBuffer records;
  const DumpProgress progress =
      parse(Datagram().socket(kEstablished).socket(kClose).bytes, &records);
  CHECK_EQ(progress.records, 1);
  CHECK_EQ(progress.recent.count(), 2);
  CHECK_EQ((progress.recent.begin() + 1)->idiag_state, kClose);
}

TEST(interruption_is_seen_on_any_message) {
  CHECK(parse(Datagram().socket(kEstablished, {}, NLM_F_DUMP_INTR)).interrupted);
  CHECK(parse(Datagram().socket(kEstablished).done(NLM_F_DUMP_INTR)).interrupted);
  CHECK(parse(Datagram().message(NLMSG_OVERRUN, {})).interrupted);
  CHECK(!parse(Datagram().socket(kEstablished).done()).interrupted);
}

TEST(errors_of_the_kernel_are_passed_on) {
  CHECK_EQ(parse(Datagram().message(NLMSG_ERROR, bytes_of(-EPERM))).error, -EPERM);
  CHECK_EQ(parse(Datagram().message(NLMSG_DONE, bytes_of(-ENOENT))).error, -ENOENT);
  // An acknowledgement, and the end of a dump as older kernels write it.
  CHECK_EQ(parse(Datagram().message(NLMSG_ERROR, bytes_of(0))).error, 0);
  const DumpProgress bare = parse(Datagram().message(NLMSG_DONE, {}));
  CHECK(bare.done);
  CHECK_EQ(bare.error, 0);
}

TEST(errors_that_are_no_errno_are_protocol_errors) {
  for (const int error : {1, INT32_MAX, INT32_MIN, -4096}) {
    CHECK_EQ(parse(Datagram().message(NLMSG_ERROR, bytes_of(error))).error, -EPROTO);
    CHECK_EQ(parse(Datagram().message(NLMSG_DONE, bytes_of(error))).error, -EPROTO);
  }
  CHECK_EQ(parse(Datagram().message(NLMSG_ERROR, {1, 2})).error, -EPROTO);
}

TEST(nothing_is_read_after_the_end_or_an_error) {
  CHECK_EQ(parse(Datagram().done().socket(kEstablished)).records, 0);
  CHECK_EQ(parse(Datagram().message(NLMSG_ERROR, bytes_of(-EPERM)).socket(kEstablished)).records,
           0);
}

TEST(older_form_of_the_request_is_answered_by_its_own_type) {
  ByteBuffer records;
  const DumpProgress progress =
      parse(Datagram().message(TCPDIAG_GETSOCK, Bytes(sizeof(inet_diag_msg), 1)).bytes, &records);
  CHECK_EQ(progress.records, 1);
}

TEST(sockets_that_the_last_datagram_ended_with_are_not_listed_again) {
  ByteBuffer records;
  DumpProgress progress;
  const auto take = [&](const Datagram& datagram) {
    parse_dump(datagram.bytes.data(), datagram.bytes.size(), kIdentity, &records, &progress);
    CHECK_EQ(progress.records, count(records));
    return progress.records;
  };
  const auto listing = [](std::initializer_list<uint32_t> cookies) {
    Datagram datagram;
    for (const uint32_t cookie : cookies) {
      Datagram::next_cookie = cookie;
      datagram.socket(kEstablished);
    }
    return datagram;
  };
  CHECK_EQ(take(listing({101, 102, 103})), 3);
  CHECK_EQ(take(listing({102, 103, 104, 105})), 5);
  // Also after a socket that the kernel counted and could not list.
  CHECK_EQ(take(listing({106, 104, 105, 107})), 7);
  CHECK_EQ(take(listing({108, 109, 110, 111, 112, 113, 114})), 14);
  CHECK_EQ(take(listing({108})), 15);
}

TEST(answers_to_lookups) {
  constexpr uint32_t kFirst = UINT32_MAX;
  const auto answer = [](uint16_t type, uint32_t sequence, uint32_t port) {
    Datagram datagram;
    datagram.sequence = sequence;
    datagram.port = port;
    datagram.message(type, Bytes(sizeof(inet_diag_msg)));
    return static_cast<int>(
        parse_lookup(datagram.bytes.data(), datagram.bytes.size(), kPort, kFirst, 3));
  };
  const auto is = [](LookupAnswer wanted) { return static_cast<int>(wanted); };
  CHECK_EQ(answer(SOCK_DIAG_BY_FAMILY, kFirst, kPort), is(LookupAnswer::kThere));
  CHECK_EQ(answer(NLMSG_ERROR, kFirst + 2, kPort), is(LookupAnswer::kGone));
  CHECK_EQ(answer(SOCK_DIAG_BY_FAMILY, kFirst + 3, kPort), is(LookupAnswer::kOther));
  CHECK_EQ(answer(SOCK_DIAG_BY_FAMILY, kFirst - 1, kPort), is(LookupAnswer::kOther));
  CHECK_EQ(answer(SOCK_DIAG_BY_FAMILY, kFirst, kPort + 1), is(LookupAnswer::kOther));
  CHECK_EQ(static_cast<int>(parse_lookup(nullptr, 0, kPort, kFirst, 3)), is(LookupAnswer::kOther));
}

using Random = std::mt19937;

size_t below(Random* random, size_t limit) {
  return (*random)() % limit;
}

Bytes garbage(Random* random) {
  Bytes bytes(below(random, 400));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>((*random)());
  return bytes;
}

// Some bytes changed, perhaps cut, perhaps a piece of it copied to another place.
Bytes mutated(Bytes bytes, Random* random) {
  for (size_t changes = below(random, 8); changes > 0; changes--) {
    // Mostly where the lengths are: at the beginning of a word.
    const size_t at = below(random, bytes.size()) & (below(random, 2) ? ~size_t{3} : ~size_t{0});
    constexpr uint8_t kTelling[] = {0, 1, 3, 4, 15, 16, 71, 72, 0x7f, 0x80, 0xff};
    bytes[at] = below(random, 2) ? kTelling[below(random, sizeof(kTelling))]
                                 : static_cast<uint8_t>((*random)());
  }
  if (below(random, 3) == 0) bytes.resize(below(random, bytes.size()));
  if (below(random, 4) == 0 && !bytes.empty()) {
    const size_t from = below(random, bytes.size());
    const Bytes piece(bytes.begin() + static_cast<long>(from), bytes.end());
    bytes.insert(bytes.begin() + static_cast<long>(below(random, bytes.size())), piece.begin(),
                 piece.end());
  }
  return bytes;
}

void check_survives(const Bytes& bytes, const DumpIdentity& identity) {
  ByteBuffer records;
  const DumpProgress progress = parse(bytes, &records, identity);
  parse_lookup(bytes.data(), bytes.size(), identity.port, identity.sequence, 4);
  CHECK_EQ(progress.records, count(records));
  // A message has at least a header and an inet_diag_msg, and its records are inside it.
  CHECK(progress.records <= bytes.size() / (NLMSG_HDRLEN + sizeof(inet_diag_msg)));
  CHECK(records.size() <= bytes.size());
  CHECK(progress.error <= 0 && progress.error > -4096);
}

TEST(a_hundred_thousand_mutated_datagrams_and_plain_garbage) {
  constexpr unsigned kSeed = 20240229;
  Random random(kSeed);
  std::vector<std::pair<Bytes, DumpIdentity>> seeds;
  for (const char* name : {"ipv4.dump", "ipv6.dump"}) {
    const RecordedDump dump = recorded_dump(name);
    for (const Bytes& datagram : dump.datagrams) {
      seeds.push_back({datagram, {dump.sequence, dump.port, kStates}});
    }
  }
  const Bytes every_kind = Datagram()
                               .socket(kEstablished, attribute(INET_DIAG_INFO, Bytes(104)))
                               .message(NLMSG_OVERRUN, {})
                               .message(NLMSG_ERROR, bytes_of(0))
                               .done()
                               .bytes;
  seeds.push_back({every_kind, kIdentity});
  for (int i = 0; i < 100'000; i++) {
    const auto& [seed, identity] = seeds[below(&random, seeds.size())];
    check_survives(i % 10 == 0 ? garbage(&random) : mutated(seed, &random), identity);
  }
}

}  // namespace

}  // namespace deadpeer
