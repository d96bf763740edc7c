#include <cstring>

#include "core/sock_diag_reply.h"

// The first bytes choose the request whose acknowledgement is searched for, and where the datagram
// is cut.
struct Choice {
  uint32_t sequence;
  uint16_t cut;
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choice choice;
  if (size < sizeof(choice)) return 0;
  memcpy(&choice, data, sizeof(choice));
  data += sizeof(choice);
  size -= sizeof(choice);

  const int whole = deadpeer::find_ack(data, size, choice.sequence);
  if (whole > 0 && whole != deadpeer::kNoAck) __builtin_trap();
  // A result found before the cut is also found without it.
  const size_t cut = size == 0 ? 0 : choice.cut % size;
  const int before = deadpeer::find_ack(data, cut, choice.sequence);
  if (before != deadpeer::kNoAck && before != whole) __builtin_trap();
  return 0;
}
