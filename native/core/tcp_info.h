#pragma once

#include <cstddef>
#include <cstdint>

namespace deadpeer {

// Reads TCP_INFO (tcp(7)) as the kernel lays it out, at most `capacity` bytes. Returns how many
// bytes this kernel filled in, or -errno. Fields are decoded elsewhere, by that length.
int read_tcp_info(int fd, void* bytes, size_t capacity);

// Where a field lies in a tcp_info. The facade has the table; here it is only followed.
struct Field {
  uint32_t offset;
  uint32_t width;   // bytes: 1, 2, 4 or 8
  uint32_t shift;   // of a bit field, within its byte
  uint32_t bits;    // 0: no bit field
  uint32_t length;  // a shorter tcp_info does not have it
};

// Whether a field lies within the length that it takes, and a bit field within its byte.
bool is_sound(const Field& field);

// One number a field, each of them sound. NaN where this kernel does not have the field, or `bytes`
// is none.
void pick_fields(const unsigned char* bytes, int length, const Field* fields, size_t count,
                 double* out);

// Takes SO_ERROR (socket(7)) of a connection that has ended (state CLOSE), which takes it away from
// everybody else: an errno, or 0 where there is none. -EISCONN: it has not ended, and a live
// connection's error is never taken. Returns 0 or -errno.
int take_error(int fd, int* error);

// The few fields that decide whether writing options to a connection could end it.
struct Quiet {
  bool connecting;      // a handshake is under way
  bool synchronized;    // past the handshake and not closed (RFC 9293): a peer exists
  bool in_trouble;      // unanswered probes, or retransmission, or a closed window
  uint32_t silent_for;  // ms since the peer was last heard, data or ACK
};

int read_quiet(int fd, Quiet* quiet);

}  // namespace deadpeer
