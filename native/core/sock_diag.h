#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/byte_buffer.h"
#include "core/failure.h"
#include "core/sock_diag_request.h"

namespace deadpeer {

struct DumpOutcome {
  Failure failure;  // -ECANCELED where it was called off
  size_t records = 0;
  bool interrupted = false;  // tried again, and still not known to be complete
};

// Lists the TCP sockets of the caller's network namespace, sock_diag(7), into `records`
// (sock_diag_reply.h). Needs no privileges. Takes about a millisecond for a thousand sockets;
// looks at `cancelled` every hundred or so.
DumpOutcome dump_sockets(const SocketQuery& query, const std::atomic<bool>& cancelled,
                         ByteBuffer* records);

// What a dump is read from: a netlink socket, or a test's stand-in for one.
class DumpSource {
 public:
  virtual ~DumpSource() = default;

  // Starts afresh: what is left of a dump that was under way is not seen again. 0 or -errno.
  virtual int open(uint32_t* port) = 0;
  virtual int send(const DiagRequest& request) = 0;

  // Whether all of these, none of them a listener, are still there: 1 or 0, or -errno.
  virtual int still_there(const inet_diag_msg* sockets, size_t count) = 0;

  // One datagram of the kernel's. Returns its length, above `capacity` where it did not fit and
  // only its beginning is there, or -errno; -EAGAIN after a while without any.
  virtual ssize_t receive(uint8_t* bytes, size_t capacity) = 0;
};

DumpOutcome dump_sockets(const SocketQuery& query, const std::atomic<bool>& cancelled,
                         ByteBuffer* records, DumpSource* source);

}  // namespace deadpeer
