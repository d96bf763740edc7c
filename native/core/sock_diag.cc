#include "core/sock_diag.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <optional>

#include "core/clock.h"
#include "core/descriptor.h"
#include "core/sock_diag_reply.h"

namespace deadpeer {

namespace {

// The number of attempts for a dump that is interrupted.
constexpr int kAttempts = 4;

// The kernel puts at most 32 KiB into a datagram.
constexpr size_t kReceiveBytes = 64 * 1024;
constexpr size_t kMostReceiveBytes = 16 * kReceiveBytes;

// The kernel answers at once. So a longer wait means that no reply will come.
constexpr double kPatienceMs = 10'000;
// A cancellation may then take this long.
constexpr timeval kWait = {0, 100'000};

// The kernel ends a datagram if the next record does not fit. A datagram has room for at least a
// page (NLMSG_GOODSIZE), and a record takes less than half of that. A shorter datagram was not
// full.
constexpr size_t kNeverFull = 2048;

// All states except LISTEN, and except CLOSE, which is not listed.
constexpr uint32_t kConnections = 0xb7e;

bool leaves_some_out(const SocketQuery& query) {
  return !query.ipv4 || !query.ipv6 || !query.local.any() || !query.remote.any() ||
         (query.states & kConnections) != kConnections;
}

class NetlinkSocket {
 public:
  int open() {
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) return -errno;
    descriptor_.emplace(fd);
    sockaddr_nl own = {};
    own.nl_family = AF_NETLINK;
    socklen_t length = sizeof(own);
    if (bind(fd, reinterpret_cast<sockaddr*>(&own), length) != 0) return -errno;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) != 0) return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kWait, sizeof(kWait)) != 0) return -errno;
    port_ = own.nl_pid;
    return 0;
  }

  uint32_t port() const { return port_; }

  int send(const DiagRequest& request) {
    sockaddr_nl kernel = {};
    kernel.nl_family = AF_NETLINK;
    return sendto(descriptor_->get(), request.bytes.data(), request.length, 0,
                  reinterpret_cast<sockaddr*>(&kernel), sizeof(kernel)) < 0
               ? -errno
               : 0;
  }

  ssize_t receive(uint8_t* bytes, size_t capacity) {
    sockaddr_nl sender = {};
    socklen_t length = sizeof(sender);
    const ssize_t received = recvfrom(descriptor_->get(), bytes, capacity, MSG_TRUNC,
                                      reinterpret_cast<sockaddr*>(&sender), &length);
    if (received < 0) return -errno;
    // A privileged process may send to any netlink socket.
    return sender.nl_pid == 0 ? received : -EINTR;
  }

 private:
  std::optional<Descriptor> descriptor_;
  uint32_t port_ = 0;
};

class NetlinkSource : public DumpSource {
 public:
  int open(uint32_t* port) override {
    if (int error = dump_.open()) return error;
    *port = dump_.port();
    // A separate socket, because the dump's socket is in the middle of the dump.
    return lookup_.open();
  }

  int send(const DiagRequest& request) override { return dump_.send(request); }

  ssize_t receive(uint8_t* bytes, size_t capacity) override {
    return dump_.receive(bytes, capacity);
  }

  int still_there(const inet_diag_msg* sockets, size_t count) override {
    const uint32_t first = sequence_;
    sequence_ += static_cast<uint32_t>(count);
    if (int error = lookup_.send(build_lookup_request(sockets, count, first))) return error;
    bool all = true;
    for (size_t answered = 0; answered < count;) {
      // A record without extensions, or an error about the request.
      uint8_t bytes[512];
      const ssize_t received = lookup_.receive(bytes, sizeof(bytes));
      if (received == -EINTR) continue;
      // All answers are there when the request has been sent. A missing one was lost.
      if (received < 0)
        return received == -EAGAIN || received == -ENOBUFS ? 0 : static_cast<int>(received);
      const size_t length = std::min(static_cast<size_t>(received), sizeof(bytes));
      const LookupAnswer answer = parse_lookup(bytes, length, lookup_.port(), first, count);
      if (answer == LookupAnswer::kOther) continue;
      answered++;
      all = all && answer == LookupAnswer::kThere;
    }
    return all ? 1 : 0;
  }

 private:
  NetlinkSocket dump_;
  NetlinkSocket lookup_;
  uint32_t sequence_ = 0;
};

DumpOutcome failed(int error, const char* syscall) {
  return {{error, syscall}, 0, false};
}

// One of the kernel's tables: either listeners alone, or no listeners.
class Dumper {
 public:
  Dumper(const SocketQuery& query, const std::atomic<bool>& cancelled, ByteBuffer* records,
         DumpSource* source)
      : query_(query),
        cancelled_(cancelled),
        records_(records),
        start_(records->size()),
        source_(source) {}

  DumpOutcome dump() {
    for (int attempt = 1;; attempt++) {
      is_last_ = attempt == kAttempts;
      records_->truncate(start_);
      const DumpOutcome outcome = dump_once();
      if (outcome.failure.error != 0 || !outcome.interrupted || is_last_) return outcome;
    }
  }

 private:
  DumpOutcome dump_once() {
    was_full_ = false;
    DumpOutcome first = request(query_, records_);
    if (first.failure.error != 0 || first.interrupted || !was_full_) return first;
    if (lists_listeners()) return compare_listeners(first);
    return leaves_some_out(query_) ? add_passed_over(first) : first;
  }

  // A lookup cannot check whether a listener still exists: several can share a port (SO_REUSEPORT),
  // and the kernel returns any of them. So all listeners are listed twice. If both lists are equal,
  // no listener was removed between two datagrams, so none was skipped.
  DumpOutcome compare_listeners(DumpOutcome first) {
    SocketQuery query = query_;
    query.with_info = false;
    ByteBuffer again;
    const DumpOutcome second = request(query, &again);
    if (second.failure.error != 0) return second;
    first.interrupted = second.interrupted || !are_same_sockets(*records_, start_, again);
    return first;
  }

  // The kernel also counts sockets that a filter leaves out, and their removal cannot be detected.
  // So the dump is made twice. In the second list the kernel pauses elsewhere, so a socket that one
  // list skipped is in the other.
  DumpOutcome add_passed_over(DumpOutcome first) {
    ByteBuffer again;
    const DumpOutcome second = request(query_, &again);
    if (second.failure.error != 0) return second;
    if (int error = add_missing(again, records_, start_, &first.records)) {
      return failed(error, nullptr);
    }
    first.interrupted = second.interrupted;
    return first;
  }

  DumpOutcome request(const SocketQuery& query, ByteBuffer* records) {
    DumpIdentity identity = {++sequence_, 0, query.states};
    if (int error = source_->open(&identity.port)) return failed(error, "socket");
    if (int error = source_->send(build_dump_request(query, identity.sequence))) {
      return failed(error, "sendto");
    }
    DumpProgress progress;
    if (int error = receive_all(identity, records, &progress)) {
      return failed(error, "recvfrom");
    }
    return {{progress.error, nullptr}, progress.records, progress.interrupted};
  }

  bool lists_listeners() const { return query_.states == kListening; }

  int receive_all(const DumpIdentity& identity, ByteBuffer* records, DumpProgress* progress) {
    double heard_at = coarse_clock();
    while (!progress->done && progress->error == 0) {
      if (cancelled_.load(std::memory_order_relaxed)) return -ECANCELED;
      // The last attempt returns the sockets that it has found.
      if (progress->interrupted && !is_last_) return 0;
      uint8_t* bytes = reserve();
      if (bytes == nullptr) return -ENOMEM;
      const ssize_t received = source_->receive(bytes, capacity_);
      progress->heard = false;
      if (received >= 0) {
        take(static_cast<size_t>(received), identity, records, progress);
        if (int error = look_back(progress)) return error;
      } else if (received == -ENOBUFS) {
        // The kernel has dropped some datagrams, perhaps the last one too.
        progress->interrupted = true;
        return 0;
      } else if (received != -EINTR && received != -EAGAIN) {
        return static_cast<int>(received);
      }
      const double now = coarse_clock();
      if (progress->heard) heard_at = now;
      if (now - heard_at > kPatienceMs) return -ETIMEDOUT;
    }
    return 0;
  }

  void take(size_t received, const DumpIdentity& identity, ByteBuffer* records,
            DumpProgress* progress) {
    parse_dump(buffer_.data(), std::min(received, capacity_), identity, records, progress);
    if (received >= kNeverFull) was_full_ = true;
    if (received <= capacity_) return;
    progress->interrupted = true;
    capacity_ = std::min(2 * capacity_, kMostReceiveBytes);
  }

  // inet_diag never sets NLM_F_DUMP_INTR (as of Linux 6.18), but it does skip sockets: it continues
  // in a hash bucket by counting. If an earlier socket was removed meanwhile, another takes its
  // place in the count. By now the kernel has prepared the next datagram, so the last sockets of
  // this one must still exist.
  int look_back(DumpProgress* progress) {
    if (lists_listeners() || !progress->heard || progress->done || progress->interrupted ||
        progress->error != 0 || progress->recent.count() == 0) {
      return 0;
    }
    const int answer = source_->still_there(progress->recent.begin(), progress->recent.count());
    if (answer < 0) return answer;
    if (answer == 0) progress->interrupted = true;
    return 0;
  }

  uint8_t* reserve() {
    buffer_.truncate(0);
    return buffer_.extend(capacity_);
  }

  const SocketQuery query_;
  const std::atomic<bool>& cancelled_;
  ByteBuffer* records_;
  const size_t start_;
  DumpSource* source_;
  ByteBuffer buffer_;
  size_t capacity_ = kReceiveBytes;
  uint32_t sequence_ = 0;
  bool is_last_ = false;
  bool was_full_ = false;
};

SocketQuery of_states(SocketQuery query, uint32_t states) {
  query.states = states;
  return query;
}

}  // namespace

DumpOutcome dump_sockets(const SocketQuery& query, const std::atomic<bool>& cancelled,
                         ByteBuffer* records, DumpSource* source) {
  // The kernel has listeners in a separate table, and skips the table that is not requested. So two
  // requests take no longer than one.
  DumpOutcome outcome;
  for (const uint32_t states : {query.states & kListening, query.states & ~kListening}) {
    if (states == 0) continue;
    const DumpOutcome table = Dumper(of_states(query, states), cancelled, records, source).dump();
    if (table.failure.error != 0) return table;
    outcome.records += table.records;
    outcome.interrupted |= table.interrupted;
  }
  return outcome;
}

DumpOutcome dump_sockets(const SocketQuery& query, const std::atomic<bool>& cancelled,
                         ByteBuffer* records) {
  NetlinkSource source;
  return dump_sockets(query, cancelled, records, &source);
}

}  // namespace deadpeer
