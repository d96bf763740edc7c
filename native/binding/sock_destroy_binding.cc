#include <arpa/inet.h>

#include <string>

#include "binding/binding.h"
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
    if (read_address(info[0], family, &id->local))
      return read_address(info[2], family, &id->remote);
  }
  return false;
}

// destroySocket(localAddress, localPort, remoteAddress, remotePort, interface, cookie): 0 or -errno
Napi::Value destroy(const Napi::CallbackInfo& info) {
  SocketId id;
  bool lossless = false;
  if (!read_addresses(info, &id) || !read_port(info, 1, &id.local_port) ||
      !read_port(info, 3, &id.remote_port) ||
      napi_get_value_uint32(info.Env(), info[4], &id.interface) != napi_ok ||
      napi_get_value_bigint_uint64(info.Env(), info[5], &id.cookie, &lossless) != napi_ok ||
      !lossless) {
    return bad_call(info.Env());
  }
  return Napi::Number::New(info.Env(), destroy_socket(id));
}

}  // namespace

void bind_sock_destroy(Napi::Env env, Napi::Object exports) {
  bind<destroy>(env, exports, "destroySocket");
}

}  // namespace deadpeer
