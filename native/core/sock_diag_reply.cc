#include "core/sock_diag_reply.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include <algorithm>
#include <cstring>

namespace deadpeer {

namespace {

struct Span {
  const uint8_t* bytes;
  size_t length;

  Span from(size_t offset) const {
    offset = std::min(offset, length);
    return {bytes + offset, length - offset};
  }

  // Datagrams need not be aligned.
  template <typename Struct>
  bool read(Struct* value) const {
    if (length < sizeof(Struct)) return false;
    memcpy(value, bytes, sizeof(Struct));
    return true;
  }
};

constexpr size_t aligned(size_t size) {
  return (size + 3) & ~size_t{3};
}

constexpr int kLargestErrno = 4095;

// The errno of NLMSG_ERROR and NLMSG_DONE. 0: none.
int error_in(const Span& payload) {
  int error;
  if (!payload.read(&error)) return -EPROTO;
  return error <= 0 && error >= -kLargestErrno ? error : -EPROTO;
}

// Removes the first message. Returns false if there is no complete one.
bool take_message(Span* rest, nlmsghdr* header, Span* payload) {
  if (!rest->read(header) || header->nlmsg_len < sizeof(*header) ||
      header->nlmsg_len > rest->length) {
    return false;
  }
  *payload = {rest->bytes + NLMSG_HDRLEN, header->nlmsg_len - NLMSG_HDRLEN};
  *rest = rest->from(aligned(header->nlmsg_len));
  return true;
}

// Returns false if the attributes are cut off.
bool find_info(Span attributes, Span* info) {
  while (attributes.length > 0) {
    nlattr header;
    if (!attributes.read(&header)) return false;
    if (header.nla_len < sizeof(header) || header.nla_len > attributes.length) return false;
    if ((header.nla_type & NLA_TYPE_MASK) == INET_DIAG_INFO) {
      *info = {attributes.bytes + NLA_HDRLEN, header.nla_len - sizeof(header)};
    }
    attributes = attributes.from(aligned(header.nla_len));
  }
  return true;
}

bool append_record(const Span& message, const Span& info, ByteBuffer* records) {
  const uint32_t info_length = static_cast<uint32_t>(info.length);
  const size_t padding = aligned(info.length) - info.length;
  uint8_t* record =
      records->extend(sizeof(inet_diag_msg) + sizeof(info_length) + info.length + padding);
  if (record == nullptr) return false;
  memcpy(record, message.bytes, sizeof(inet_diag_msg));
  record += sizeof(inet_diag_msg);
  memcpy(record, &info_length, sizeof(info_length));
  record += sizeof(info_length);
  if (info.length > 0) memcpy(record, info.bytes, info.length);
  memset(record + info.length, 0, padding);
  return true;
}

// Decodes one datagram.
struct Context {
  uint32_t states;
  ByteBuffer* records;
  DumpProgress* progress;
  // The kernel continues in a hash bucket by counting its sockets. If new sockets were added before
  // that place, it lists the last ones of the previous datagram again.
  const RecentSockets before;
};

void parse_socket(const Span& payload, Context* context) {
  DumpProgress* progress = context->progress;
  inet_diag_msg message;
  if (!payload.read(&message)) {
    progress->interrupted = true;
    return;
  }
  // The kernel checks the state, releases the lock, and only then fills the message in. Meanwhile
  // the socket may have left the requested states, perhaps for CLOSE, which is never listed.
  if (message.idiag_state >= 32 || (context->states & (1u << message.idiag_state)) == 0) {
    // The kernel has counted it anyway.
    progress->recent.add(message);
    return;
  }
  const bool repeated = std::any_of(
      context->before.begin(), context->before.end(),
      [&](const inet_diag_msg& other) { return cookie_of(message) == cookie_of(other); });
  if (repeated) return;
  Span info = {nullptr, 0};
  if (!find_info(payload.from(aligned(sizeof(message))), &info)) progress->interrupted = true;
  if (append_record(payload, info, context->records)) {
    progress->records++;
    progress->recent.add(message);
  } else {
    progress->error = -ENOMEM;
  }
}

void parse_message(const nlmsghdr& header, const Span& payload, Context* context) {
  DumpProgress* progress = context->progress;
  if (header.nlmsg_flags & NLM_F_DUMP_INTR) progress->interrupted = true;
  switch (header.nlmsg_type) {
    case SOCK_DIAG_BY_FAMILY:
    case TCPDIAG_GETSOCK:
      parse_socket(payload, context);
      break;
    case NLMSG_DONE:
      // Older kernels end a dump without an errno.
      if (payload.length > 0) progress->error = error_in(payload);
      progress->done = true;
      break;
    case NLMSG_ERROR:
      // An errno of 0 is an acknowledgement.
      progress->error = error_in(payload);
      break;
    case NLMSG_OVERRUN:
      progress->interrupted = true;
      break;
    default:
      break;
  }
}

}  // namespace

void parse_dump(const uint8_t* bytes, size_t length, const DumpIdentity& identity,
                ByteBuffer* records, DumpProgress* progress) {
  Context context = {identity.states, records, progress, progress->recent};
  Span rest = {bytes, length};
  while (rest.length > 0 && !progress->done && progress->error == 0) {
    nlmsghdr header;
    Span payload;
    if (!take_message(&rest, &header, &payload)) {
      // The sender, and the messages that would have followed, are unknown.
      progress->interrupted = true;
      return;
    }
    if (header.nlmsg_seq == identity.sequence && header.nlmsg_pid == identity.port) {
      progress->heard = true;
      parse_message(header, payload, &context);
    }
  }
}

int find_ack(const uint8_t* bytes, size_t length, uint32_t sequence) {
  Span rest = {bytes, length};
  Span payload;
  nlmsghdr header;
  while (take_message(&rest, &header, &payload)) {
    if (header.nlmsg_type == NLMSG_ERROR && header.nlmsg_seq == sequence &&
        payload.length >= sizeof(int)) {
      return error_in(payload);
    }
  }
  return kNoAck;
}

LookupAnswer parse_lookup(const uint8_t* bytes, size_t length, uint32_t port, uint32_t sequence,
                          size_t count) {
  nlmsghdr header;
  if (!Span{bytes, length}.read(&header) || header.nlmsg_pid != port ||
      header.nlmsg_seq - sequence >= count) {
    return LookupAnswer::kOther;
  }
  return header.nlmsg_type == SOCK_DIAG_BY_FAMILY ? LookupAnswer::kThere : LookupAnswer::kGone;
}

uint64_t cookie_of(const inet_diag_msg& socket) {
  return socket.id.idiag_cookie[0] | uint64_t{socket.id.idiag_cookie[1]} << 32;
}

bool RecordReader::next(inet_diag_msg* socket) {
  constexpr size_t kHead = sizeof(*socket) + sizeof(uint32_t);
  start_ = end_;
  if (records_.size() - start_ < kHead) return false;
  uint32_t info_length;
  memcpy(socket, bytes(), sizeof(*socket));
  memcpy(&info_length, bytes() + sizeof(*socket), sizeof(info_length));
  end_ += kHead + (size_t{info_length} + 3) / 4 * 4;
  return true;
}

bool are_same_sockets(const ByteBuffer& list, size_t start, const ByteBuffer& other) {
  RecordReader left(list, start);
  RecordReader right(other);
  inet_diag_msg x;
  inet_diag_msg y;
  while (left.next(&x)) {
    if (!right.next(&y) || cookie_of(x) != cookie_of(y)) return false;
  }
  return !right.next(&y);
}

int add_missing(const ByteBuffer& more, ByteBuffer* list, size_t start, size_t* count) {
  if (more.size() == 0) return 0;
  // Allocates one byte more, because malloc(0) may return null.
  ByteBuffer cookies;
  auto* known = reinterpret_cast<uint64_t*>(cookies.extend((*count + 1) * sizeof(uint64_t)));
  if (known == nullptr) return -ENOMEM;
  uint64_t* end = known;
  inet_diag_msg socket;
  for (RecordReader reader(*list, start); reader.next(&socket);) *end++ = cookie_of(socket);
  std::sort(known, end);
  for (RecordReader reader(more); reader.next(&socket);) {
    if (std::binary_search(known, end, cookie_of(socket))) continue;
    uint8_t* added = list->extend(reader.size());
    if (added == nullptr) return -ENOMEM;
    memcpy(added, reader.bytes(), reader.size());
    ++*count;
  }
  return 0;
}

}  // namespace deadpeer
