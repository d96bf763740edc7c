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
  Failure failure;  // -ECANCELED if it was cancelled
  size_t records = 0;
  bool interrupted = false;  // repeated, and perhaps still incomplete
};

// Lists the TCP sockets of the caller's network namespace, sock_diag(7), into `records`
// (sock_diag_reply.h). Needs no privileges. Takes about 1 ms for 1,000 sockets, and checks
// `cancelled` about every 100 sockets.
DumpOutcome dump_sockets(const SocketQuery& query, const std::atomic<bool>& cancelled,
                         ByteBuffer* records);

// The source of a dump: a netlink socket, or a test's replacement.
class DumpSource {
 public:
  virtual ~DumpSource() = default;

  // Starts again and discards the rest of a dump that was under way. Returns 0 or -errno.
  virtual int open(uint32_t* port) = 0;
  virtual int send(const DiagRequest& request) = 0;

  // Whether all of these sockets still exist: 1 or 0, or -errno. None of them may be a listener.
  virtual int still_there(const inet_diag_msg* sockets, size_t count) = 0;

  // Receives one datagram of the kernel. Returns its length, or -errno; -EAGAIN if none arrives for
  // a while. A length above `capacity` means that only the beginning was stored.
  virtual ssize_t receive(uint8_t* bytes, size_t capacity) = 0;
};

DumpOutcome dump_sockets(const SocketQuery& query, const std::atomic<bool>& cancelled,
                         ByteBuffer* records, DumpSource* source);

}  // namespace deadpeer
