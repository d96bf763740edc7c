#pragma once

#include <cstddef>
#include <cstdint>

#include "core/options.h"

namespace deadpeer {

// Which socket a descriptor is, by its cookie, and its TCP state. -errno for what is no TCP socket.
int identify(int fd, uint64_t* cookie, uint8_t* state);

// What shows whether a peer answers. Times in ms, on coarse_clock().
struct Look {
  uint8_t state;
  uint8_t probes;       // unanswered probes, of keepalive or of a closed window
  uint8_t retransmits;  // by timeout, of the oldest segment that is not acknowledged
  uint32_t unacked;     // segments
  uint32_t not_sent;    // bytes
  double seen_at;       // when this was read
  double heard_at;      // when the peer was last heard, data or ACK
  double rto;
};

// -ESTALE: the descriptor is open, and another socket than `cookie` tells by now. A cookie of 0,
// which no socket has: the caller knows which it is.
int look(int fd, uint64_t cookie, Look* out);

// The options that decide what keepalive does, of those that read() reads.
constexpr OptionMask kKeepaliveOptions =
    bit(kEnable) | bit(kInitialDelay) | bit(kInterval) | bit(kCount) | bit(kUserTimeout);
int read_keepalive(int fd, Settings* settings);

// Writing an initialDelay no longer than the silence makes the kernel ask at its next tick. What a
// question's fate depends on goes first and comes back last, whatever the rest of the process is
// doing meanwhile: to ask, initialDelay is written last, and to stop asking first.
enum class Order { kAsk, kStop };

// Writes options of one connection, all or none. `before` is what it has: the caller has just
// looked, and found the socket that it means.
Refusal write_keepalive(int fd, const Settings& before, const Settings& wanted, Order order);

}  // namespace deadpeer
