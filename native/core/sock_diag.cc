#include "core/sock_diag.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <optional>

#include "core/descriptor.h"
#include "core/sock_diag_reply.h"
#include "core/tune.h"

namespace deadpeer {

namespace {

// A dump that was interrupted is tried again, so often in all.
constexpr int kAttempts = 4;

// The kernel puts 32 KiB at most into a datagram.
constexpr size_t kReceiveBytes = 64 * 1024;
constexpr size_t kMostReceiveBytes = 16 * kReceiveBytes;

// The kernel answers at once. Where nothing of ours comes for so long, something is wrong with it.
constexpr double kPatienceMs = 10'000;
// How long a cancellation may have to wait for then.
constexpr timeval kWait = {0, 100'000};

class NetlinkSource : public DumpSource {
 public:
  int open(uint32_t* port) override {
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) return -errno;
    socket_.emplace(fd);
    sockaddr_nl own = {};
    own.nl_family = AF_NETLINK;
    socklen_t length = sizeof(own);
    if (bind(fd, reinterpret_cast<sockaddr*>(&own), length) != 0) return -errno;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) != 0) return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kWait, sizeof(kWait)) != 0) return -errno;
    *port = own.nl_pid;
    return 0;
  }

  int send(const DumpRequest& request) override {
    sockaddr_nl kernel = {};
    kernel.nl_family = AF_NETLINK;
    return sendto(socket_->get(), request.bytes.data(), request.length, 0,
                  reinterpret_cast<sockaddr*>(&kernel), sizeof(kernel)) < 0
               ? -errno
               : 0;
  }

  ssize_t receive(uint8_t* bytes, size_t capacity) override {
    sockaddr_nl sender = {};
    socklen_t length = sizeof(sender);
    const ssize_t received = recvfrom(socket_->get(), bytes, capacity, MSG_TRUNC,
                                      reinterpret_cast<sockaddr*>(&sender), &length);
    if (received < 0) return -errno;
    // A privileged process may send to anybody's netlink socket.
    return sender.nl_pid == 0 ? received : -EINTR;
  }

 private:
  std::optional<Descriptor> socket_;
};

DumpOutcome refused(int error, DumpStep step) {
  DumpOutcome outcome;
  outcome.error = error;
  outcome.step = step;
  return outcome;
}

// Dumps of one query, one family after the other.
class Dumper {
 public:
  Dumper(const SocketQuery& query, const std::atomic<bool>& cancelled, ByteBuffer* records,
         DumpSource* source)
      : query_(query), cancelled_(cancelled), records_(records), source_(source) {}

  DumpOutcome dump(uint8_t family) {
    const size_t start = records_->size();
    for (int attempt = 1;; attempt++) {
      const DumpOutcome outcome = dump_once(family);
      if (outcome.error != 0 || !outcome.interrupted || attempt == kAttempts) return outcome;
      records_->truncate(start);
    }
  }

 private:
  DumpOutcome dump_once(uint8_t family) {
    DumpIdentity identity = {++sequence_, 0, query_.states};
    if (int error = source_->open(&identity.port)) return refused(error, DumpStep::kOpen);
    if (int error = source_->send(build_dump_request(query_, family, identity.sequence))) {
      return refused(error, DumpStep::kSend);
    }
    DumpProgress progress;
    if (int error = receive_all(identity, &progress)) return refused(error, DumpStep::kReceive);
    if (progress.error != 0) return refused(progress.error, DumpStep::kReply);
    DumpOutcome outcome;
    outcome.records = progress.records;
    outcome.interrupted = progress.interrupted;
    return outcome;
  }

  int receive_all(const DumpIdentity& identity, DumpProgress* progress) {
    double heard_at = coarse_clock();
    while (!progress->done && progress->error == 0) {
      if (cancelled_.load(std::memory_order_relaxed)) return -ECANCELED;
      uint8_t* bytes = reserve();
      if (bytes == nullptr) return -ENOMEM;
      const ssize_t received = source_->receive(bytes, capacity_);
      progress->heard = false;
      if (received >= 0) {
        take(static_cast<size_t>(received), identity, progress);
      } else if (received == -ENOBUFS) {
        // The kernel had to drop some, perhaps the end as well.
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

  void take(size_t received, const DumpIdentity& identity, DumpProgress* progress) {
    parse_dump(buffer_.data(), std::min(received, capacity_), identity, records_, progress);
    if (received <= capacity_) return;
    progress->interrupted = true;
    capacity_ = std::min(2 * capacity_, kMostReceiveBytes);
  }

  uint8_t* reserve() {
    buffer_.truncate(0);
    return buffer_.extend(capacity_);
  }

  const SocketQuery& query_;
  const std::atomic<bool>& cancelled_;
  ByteBuffer* records_;
  DumpSource* source_;
  ByteBuffer buffer_;
  size_t capacity_ = kReceiveBytes;
  uint32_t sequence_ = 0;
};

}  // namespace

DumpOutcome dump_sockets(const SocketQuery& query, const std::atomic<bool>& cancelled,
                         ByteBuffer* records, DumpSource* source) {
  Dumper dumper(query, cancelled, records, source);
  DumpOutcome all;
  constexpr uint8_t kFamilies[] = {AF_INET, AF_INET6};
  for (const uint8_t family : kFamilies) {
    if (!(family == AF_INET ? query.ipv4 : query.ipv6)) continue;
    const DumpOutcome outcome = dumper.dump(family);
    if (outcome.error != 0) return outcome;
    all.records += outcome.records;
    all.interrupted |= outcome.interrupted;
  }
  return all;
}

DumpOutcome dump_sockets(const SocketQuery& query, const std::atomic<bool>& cancelled,
                         ByteBuffer* records) {
  NetlinkSource source;
  return dump_sockets(query, cancelled, records, &source);
}

}  // namespace deadpeer
