#include <arpa/inet.h>

#include <string>

#include "binding/binding.h"
#include "core/network_namespace.h"
#include "core/sock_destroy.h"

namespace deadpeer {

namespace {

bool read_address(const Napi::Value& value, int family, std::array<uint8_t, 16>* address) {
  if (!value.IsString()) return false;
  const std::string text = value.As<Napi::String>();
  return inet_pton(family, text.c_str(), address->data()) == 1;
}

bool read_port(const Napi::CallbackInfo& info, size_t index, uint16_t* port) {
  uint32_t value;
  if (napi_get_value_uint32(info.Env(), info[index], &value) != napi_ok) return false;
  *port = static_cast<uint16_t>(value);
  return value == *port;
}

// Both addresses of one family: IPv6 where that is how the first is written.
bool read_addresses(const Napi::CallbackInfo& info, SocketId* id) {
  for (const int family : {AF_INET, AF_INET6}) {
    id->family = family;
    if (read_address(info[1], family, &id->local))
      return read_address(info[3], family, &id->remote);
  }
  return false;
}

// destroySocket(pid, localAddress, localPort, remoteAddress, remotePort, interface, cookie):
// nothing, or a refusal
//
// In the network namespace of process `pid`; 0 is the caller's.
Napi::Value destroy(const Napi::CallbackInfo& info) {
  int pid;
  SocketId id;
  bool lossless = false;
  if (!read_descriptor(info, 0, &pid) || !read_addresses(info, &id) ||
      !read_port(info, 2, &id.local_port) || !read_port(info, 4, &id.remote_port) ||
      napi_get_value_uint32(info.Env(), info[5], &id.interface) != napi_ok ||
      napi_get_value_bigint_uint64(info.Env(), info[6], &id.cookie, &lossless) != napi_ok ||
      !lossless) {
    return bad_call(info.Env());
  }
  int error = 0;
  const EntryRefusal entry =
      in_network_namespace_of(pid, [&id, &error] { error = destroy_socket(id); });
  if (entry.error != 0) return failure(info.Env(), entry.error, entry.syscall);
  if (error != 0) return failure(info.Env(), error, "sendto");
  return info.Env().Undefined();
}

}  // namespace

void bind_sock_destroy(Napi::Env env, Napi::Object exports) {
  bind<destroy>(env, exports, "destroySocket");
}

}  // namespace deadpeer
