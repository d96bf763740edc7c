#include "core/sock_diag_request.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

#include <cstring>

namespace deadpeer {

size_t address_size(uint8_t family) {
  return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

namespace {

size_t operation_size(const EndpointCondition& condition) {
  if (condition.any()) return 0;
  return sizeof(inet_diag_bc_op) + sizeof(inet_diag_hostcond) + address_size(condition.family);
}

class Writer {
 public:
  explicit Writer(DiagRequest* request) : request_(request) {}

  void put(const void* bytes, size_t size) {
    memcpy(request_->bytes.data() + request_->length, bytes, size);
    request_->length += size;
  }

  template <typename Struct>
  void put(const Struct& value) {
    put(&value, sizeof(value));
  }

 private:
  DiagRequest* request_;
};

// The kernel runs the operations as a program that can only jump forward. "yes" continues with the
// next operation. A socket is listed if the program stops exactly at its end, and left out if it
// jumps 4 bytes beyond.
void put_condition(Writer* writer, uint8_t code, const EndpointCondition& condition,
                   size_t until_end) {
  if (condition.any()) return;
  inet_diag_bc_op operation = {};
  operation.code = code;
  operation.yes = static_cast<unsigned char>(operation_size(condition));
  operation.no = static_cast<unsigned short>(until_end + 4);
  inet_diag_hostcond host = {};
  host.family = condition.family;
  host.prefix_len = condition.prefix_length;
  host.port = condition.port;
  writer->put(operation);
  // C++ has no flexible array member, so the address follows the struct in memory.
  writer->put(&host, sizeof(host));
  writer->put(condition.address.data(), address_size(condition.family));
}

}  // namespace

DiagRequest build_dump_request(const SocketQuery& query, uint32_t sequence) {
  const size_t local = operation_size(query.local);
  const size_t remote = operation_size(query.remote);
  const size_t bytecode = local + remote;
  const size_t attribute = bytecode == 0 ? 0 : NLA_HDRLEN + bytecode;
  const uint8_t extensions = query.with_info ? 1 << (INET_DIAG_INFO - 1) : 0;

  DiagRequest request;
  Writer writer(&request);
  nlmsghdr header = {};
  header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header.nlmsg_seq = sequence;
  if (query.ipv4 && query.ipv6) {
    // Only the older form reads both families in one pass over the kernel's tables.
    inet_diag_req body = {};
    body.idiag_family = AF_UNSPEC;
    body.idiag_ext = extensions;
    body.idiag_states = query.states;
    header.nlmsg_type = TCPDIAG_GETSOCK;
    header.nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + sizeof(body) + attribute);
    writer.put(header);
    writer.put(body);
  } else {
    inet_diag_req_v2 body = {};
    body.sdiag_family = query.ipv4 ? AF_INET : AF_INET6;
    body.sdiag_protocol = IPPROTO_TCP;
    body.idiag_ext = extensions;
    body.idiag_states = query.states;
    header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    header.nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + sizeof(body) + attribute);
    writer.put(header);
    writer.put(body);
  }
  if (bytecode > 0) {
    nlattr attribute_header = {};
    attribute_header.nla_len = static_cast<uint16_t>(attribute);
    attribute_header.nla_type = INET_DIAG_REQ_BYTECODE;
    writer.put(attribute_header);
    put_condition(&writer, INET_DIAG_BC_S_COND, query.local, bytecode);
    put_condition(&writer, INET_DIAG_BC_D_COND, query.remote, remote);
  }
  return request;
}

DiagRequest build_lookup_request(const inet_diag_msg* sockets, size_t count, uint32_t sequence) {
  DiagRequest request;
  Writer writer(&request);
  for (size_t i = 0; i < count; i++) {
    nlmsghdr header = {};
    header.nlmsg_len = NLMSG_HDRLEN + sizeof(inet_diag_req_v2);
    header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    header.nlmsg_flags = NLM_F_REQUEST;
    header.nlmsg_seq = sequence + static_cast<uint32_t>(i);
    inet_diag_req_v2 body = {};
    body.sdiag_family = sockets[i].idiag_family;
    body.sdiag_protocol = IPPROTO_TCP;
    body.id = sockets[i].id;
    writer.put(header);
    writer.put(body);
  }
  return request;
}

}  // namespace deadpeer
