#include "binding/binding.h"
#include "core/socket.h"
#include "core/tcp_info.h"

namespace deadpeer {

namespace {

// readTcpInfo(fd, bytes: Uint8Array): number of bytes filled in, or -errno
Napi::Value read_tcp_info_into(const Napi::CallbackInfo& info) {
  int fd;
  uint8_t* bytes;
  size_t length;
  if (!read_descriptor(info, 0, &fd) || !read_array(info, 1, napi_uint8_array, &bytes, &length)) {
    return bad_call(info.Env());
  }
  return Napi::Number::New(info.Env(), read_tcp_info(fd, bytes, length));
}

// readCookie(fd): bigint, or -errno
Napi::Value read_cookie_of(const Napi::CallbackInfo& info) {
  int fd;
  if (!read_descriptor(info, 0, &fd)) return bad_call(info.Env());
  uint64_t cookie;
  if (int error = read_cookie(fd, &cookie)) return Napi::Number::New(info.Env(), error);
  return Napi::BigInt::New(info.Env(), cookie);
}

}  // namespace

void bind_tcp_info(Napi::Env env, Napi::Object exports) {
  bind<read_tcp_info_into>(env, exports, "readTcpInfo");
  bind<read_cookie_of>(env, exports, "readCookie");
}

}  // namespace deadpeer
