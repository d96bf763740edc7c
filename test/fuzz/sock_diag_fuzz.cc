#include <cstring>

#include "core/sock_diag_reply.h"

// The first bytes choose the request, and where the datagram is cut in two: sockets that end the
// first part must not be listed again by the second.
struct Choice {
  uint32_t sequence;
  uint32_t port;
  uint16_t cut;
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choice choice;
  if (size < sizeof(choice)) return 0;
  memcpy(&choice, data, sizeof(choice));
  data += sizeof(choice);
  size -= sizeof(choice);

  const deadpeer::DumpIdentity identity = {choice.sequence, choice.port, 0xf7e};
  const size_t cut = size == 0 ? 0 : choice.cut % size;
  deadpeer::ByteBuffer records;
  deadpeer::DumpProgress progress;
  deadpeer::parse_dump(data, cut, identity, &records, &progress);
  deadpeer::parse_dump(data + cut, size - cut, identity, &records, &progress);
  deadpeer::parse_lookup(data, size, choice.port, choice.sequence, 6);

  // In the way that JavaScript reads them.
  size_t count = 0;
  for (size_t at = 0; at < records.size(); count++) {
    if (records.size() - at < sizeof(inet_diag_msg) + sizeof(uint32_t)) __builtin_trap();
    uint32_t info_length;
    memcpy(&info_length, records.data() + at + sizeof(inet_diag_msg), sizeof(info_length));
    at += sizeof(inet_diag_msg) + sizeof(info_length) + (info_length + 3) / 4 * 4;
    if (at > records.size()) __builtin_trap();
  }
  if (count != progress.records || records.size() > size) __builtin_trap();
  return 0;
}
