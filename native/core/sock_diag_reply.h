#pragma once

#include <cstddef>
#include <cstdint>

#include "core/byte_buffer.h"

namespace deadpeer {

// A record, as many of them follow each other in a buffer:
//
//   inet_diag_msg            72 bytes, linux/inet_diag.h, as the kernel filled it in
//   uint32_t info_length     0 where there is none
//   tcp_info                 info_length bytes, padded to a multiple of 4

// Which replies belong to a dump. Anything else on the socket is left over from somebody else.
struct DumpIdentity {
  uint32_t sequence;
  uint32_t port;
  uint32_t states;  // as asked for
};

// How far a dump has come.
struct DumpProgress {
  size_t records = 0;
  bool heard = false;  // something that belongs to it has come
  bool done = false;
  bool interrupted = false;  // what came may not be all there was
  int error = 0;             // -errno: the kernel's answer, or that there is no memory
};

// Takes in one datagram, appending a record for each socket in it. Pure: reads nothing but
// `bytes`, whatever is in them, and every message once at most.
void parse_dump(const uint8_t* bytes, size_t length, const DumpIdentity& identity,
                ByteBuffer* records, DumpProgress* progress);

}  // namespace deadpeer
