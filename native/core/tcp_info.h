#pragma once

#include <cstddef>
#include <cstdint>

namespace deadpeer {

// Reads TCP_INFO (tcp(7)) as the kernel lays it out, at most `capacity` bytes. Returns how many
// bytes this kernel filled in, or -errno. Fields are decoded elsewhere, by that length.
int read_tcp_info(int fd, void* bytes, size_t capacity);

// The few fields that decide whether writing options to a connection could end it.
struct Quiet {
  bool synchronized;    // past the handshake and not closed (RFC 9293): a peer exists
  bool in_trouble;      // unanswered probes, or retransmission, or a closed window
  uint32_t silent_for;  // ms since the peer was last heard, data or ACK
};

int read_quiet(int fd, Quiet* quiet);

}  // namespace deadpeer
