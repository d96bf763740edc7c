#pragma once

#include <cstddef>
#include <cstdint>

#include "core/options.h"

namespace deadpeer {

// Reads the cookie and the TCP state of a descriptor's socket. Returns 0, or -errno if it is not a
// TCP socket.
int identify(int fd, uint64_t* cookie, uint8_t* state);

// The counters that show whether a peer answers. Times in ms, on coarse_clock().
struct Look {
  uint8_t state;
  uint8_t probes;       // unanswered probes, of keepalive or of a closed window
  uint8_t retransmits;  // by timeout, of the oldest unacknowledged segment
  uint32_t unacked;     // segments
  uint32_t not_sent;    // bytes
  double seen_at;       // when this was read
  double heard_at;      // when the peer was last heard, data or ACK
  double rto;
  double data_at;  // when data was last sent or received
};

// -ESTALE: the descriptor is open, but its socket does not have `cookie`. A cookie of 0, which no
// socket has, skips that check.
int look(int fd, uint64_t cookie, Look* out);

// The options that control keepalive, a subset of those that read() reads.
constexpr OptionMask kKeepaliveOptions =
    bit(kEnable) | bit(kInitialDelay) | bit(kInterval) | bit(kCount) | bit(kUserTimeout);
int read_keepalive(int fd, Settings* settings);

// Writing an initialDelay that is not above the idle time makes the kernel send a probe at its next
// tick. The other options decide whether that probe can end the connection, and this process may be
// stopped at any point. So initialDelay is written last to send a probe, and first to stop probing.
enum class Order { kAsk, kStop };

// Writes options of one connection, all or none. `before` is the socket's current options: the
// caller has just read them, and has checked the cookie.
Refusal write_keepalive(int fd, const Settings& before, const Settings& wanted, Order order);

}  // namespace deadpeer
