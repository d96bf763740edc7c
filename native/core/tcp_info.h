#pragma once

#include <cstddef>
#include <cstdint>

namespace deadpeer {

// Reads TCP_INFO (tcp(7)) as the kernel lays it out, at most `capacity` bytes. Returns the number
// of bytes that this kernel filled in, or -errno. TypeScript decodes the fields by that length.
int read_tcp_info(int fd, void* bytes, size_t capacity);

// The place of a field in a tcp_info. TypeScript has the table.
struct Field {
  uint32_t offset;
  uint32_t width;   // bytes: 1, 2, 4 or 8
  uint32_t shift;   // of a bit field, within its byte
  uint32_t bits;    // 0: not a bit field
  uint32_t length;  // a tcp_info shorter than this lacks the field
};

// Whether the field lies within its `length`, and a bit field within its byte.
bool is_sound(const Field& field);

// Writes one number for each field; each field must be within its range. NaN if this kernel does
// not have the field, or if `bytes` is missing.
void pick_fields(const unsigned char* bytes, int length, const Field* fields, size_t count,
                 double* out);

// Takes SO_ERROR (socket(7)) of a connection that has ended (state CLOSE): an errno, or 0. After
// that, no other reader can get it. -EISCONN: the connection has not ended; the error of a live
// connection is never taken. Returns 0 or -errno.
int take_error(int fd, int* error);

// The few fields that decide whether writing options to a connection could end it.
struct Quiet {
  bool connecting;      // in a handshake
  bool synchronized;    // past the handshake and not closed (RFC 9293): a peer exists
  bool in_trouble;      // unanswered probes, or retransmission, or a closed window
  uint32_t silent_for;  // ms since the peer was last heard, data or ACK
};

int read_quiet(int fd, Quiet* quiet);

}  // namespace deadpeer
