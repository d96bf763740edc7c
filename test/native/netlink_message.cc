#include "netlink_message.h"

#include <linux/sock_diag.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "check.h"

namespace deadpeer {

namespace {

template <typename Struct>
void append(Bytes* bytes, const Struct& value) {
  const auto* start = reinterpret_cast<const uint8_t*>(&value);
  bytes->insert(bytes->end(), start, start + sizeof(value));
}

void pad(Bytes* bytes) {
  bytes->resize((bytes->size() + 3) / 4 * 4);
}

}  // namespace

Bytes operator+(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

Bytes bytes_of(int value) {
  Bytes bytes;
  append(&bytes, value);
  return bytes;
}

Bytes attribute(uint16_t type, const Bytes& payload) {
  Bytes bytes;
  append(&bytes, nlattr{static_cast<uint16_t>(NLA_HDRLEN + payload.size()), type});
  bytes = bytes + payload;
  pad(&bytes);
  return bytes;
}

Datagram& Datagram::message(uint16_t type, const Bytes& payload, uint16_t flags) {
  nlmsghdr header = {};
  header.nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + payload.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = flags;
  header.nlmsg_seq = sequence;
  header.nlmsg_pid = port;
  append(&bytes, header);
  bytes = bytes + payload;
  pad(&bytes);
  return *this;
}

Datagram& Datagram::socket(uint8_t state, const Bytes& attributes, uint16_t flags) {
  inet_diag_msg message_body = {};
  message_body.idiag_family = AF_INET;
  message_body.idiag_state = state;
  message_body.id.idiag_cookie[0] = next_cookie++;
  Bytes payload;
  append(&payload, message_body);
  return message(SOCK_DIAG_BY_FAMILY, payload + attributes, flags);
}

Datagram& Datagram::done(uint16_t flags) {
  return message(NLMSG_DONE, bytes_of(0), flags);
}

Bytes file(const char* name) {
  const std::string path = std::string("test/fixtures/sock-diag/") + name;
  FILE* stream = fopen(path.c_str(), "rb");
  if (stream == nullptr) FAIL("%s: not to be opened", path.c_str());
  Bytes bytes(1 << 20);
  bytes.resize(fread(bytes.data(), 1, bytes.size(), stream));
  fclose(stream);
  return bytes;
}

RecordedDump recorded_dump(const char* name) {
  RecordedDump dump = {};
  const Bytes all = file(name);
  for (size_t at = 0; at < all.size();) {
    uint32_t length;
    memcpy(&length, &all[at], sizeof(length));
    at += sizeof(length);
    dump.datagrams.emplace_back(&all[at], &all[at] + length);
    at += length;
  }
  nlmsghdr header;
  memcpy(&header, dump.datagrams.at(0).data(), sizeof(header));
  dump.sequence = header.nlmsg_seq;
  dump.port = header.nlmsg_pid;
  return dump;
}

}  // namespace deadpeer
