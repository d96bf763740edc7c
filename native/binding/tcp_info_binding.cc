#include <algorithm>

#include "binding/binding.h"
#include "core/socket.h"
#include "core/tcp_info.h"

namespace deadpeer {

namespace {

constexpr size_t kMostFields = 128;
constexpr size_t kMostBytes = 512;

// readTcpInfo(fd, bytes: Uint8Array): number of bytes filled in, or { errno }
Napi::Value read_tcp_info_into(const Napi::CallbackInfo& info) {
  int fd;
  uint8_t* bytes;
  size_t length;
  if (!read_descriptor(info, 0, &fd) || !read_array(info, 1, napi_uint8_array, &bytes, &length)) {
    return bad_call(info.Env());
  }
  const int filled = read_tcp_info(fd, bytes, length);
  return filled < 0 ? failure(info.Env(), filled) : Napi::Number::New(info.Env(), filled);
}

// sampleTcpInfo(fds: Int32Array, count, places: Uint32Array, out: Float64Array), a row of out a
// socket. Of places two a field, as kernel/tcp-info.ts encodes them.
Napi::Value sample_tcp_info(const Napi::CallbackInfo& info) {
  int* fds;
  uint32_t* places;
  double* out;
  size_t capacity, place_count, room;
  uint32_t count;
  if (!read_array(info, 0, napi_int32_array, &fds, &capacity) ||
      napi_get_value_uint32(info.Env(), info[1], &count) != napi_ok || count > capacity ||
      !read_array(info, 2, napi_uint32_array, &places, &place_count) ||
      !read_array(info, 3, napi_float64_array, &out, &room) || place_count / 2 > kMostFields ||
      room < count * (place_count / 2)) {
    return bad_call(info.Env());
  }
  Field fields[kMostFields];
  const size_t field_count = place_count / 2;
  uint32_t needed = 0;
  for (size_t i = 0; i < field_count; i++) {
    const uint32_t place = places[2 * i];
    const uint32_t length = places[2 * i + 1];
    fields[i] = {place & 0xffff, 1u << ((place >> 16) & 0xf), (place >> 20) & 0xf, place >> 24,
                 length};
    if (!is_sound(fields[i]) || length > kMostBytes) return bad_call(info.Env());
    needed = std::max(needed, length);
  }
  unsigned char bytes[kMostBytes];
  for (uint32_t i = 0; i < count; i++) {
    const int length = read_tcp_info(fds[i], bytes, needed);
    pick_fields(bytes, length, fields, field_count, out + i * field_count);
  }
  return info.Env().Undefined();
}

// readCookie(fd): bigint, or -errno
Napi::Value read_cookie_of(const Napi::CallbackInfo& info) {
  int fd;
  if (!read_descriptor(info, 0, &fd)) return bad_call(info.Env());
  uint64_t cookie;
  if (int error = read_cookie(fd, &cookie)) return Napi::Number::New(info.Env(), error);
  return Napi::BigInt::New(info.Env(), cookie);
}

// takeSocketError(fd): SO_ERROR of a connection that has ended, as -errno; 0 where there is none
Napi::Value take_socket_error(const Napi::CallbackInfo& info) {
  int fd;
  if (!read_descriptor(info, 0, &fd)) return bad_call(info.Env());
  int error = 0;
  if (take_error(fd, &error) != 0) error = 0;
  return Napi::Number::New(info.Env(), -error);
}

}  // namespace

void bind_tcp_info(Napi::Env env, Napi::Object exports) {
  bind<read_tcp_info_into>(env, exports, "readTcpInfo");
  bind<sample_tcp_info>(env, exports, "sampleTcpInfo");
  bind<read_cookie_of>(env, exports, "readCookie");
  bind<take_socket_error>(env, exports, "takeSocketError");
}

}  // namespace deadpeer
