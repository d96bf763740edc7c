#include <algorithm>
#include <cstring>

#include "binding/binding.h"
#include "core/addresses.h"
#include "core/filter.h"
#include "core/probe_filter.h"
#include "core/socket.h"
#include "core/tcp_info.h"

namespace deadpeer {

namespace {

constexpr size_t kMostFields = 128;
constexpr size_t kMostBytes = 512;

// readAddresses(fd, bytes). Fills `bytes` with an Addresses.
Napi::Value read_addresses_into(Napi::Env env, int fd, Array<uint8_t> bytes) {
  Addresses addresses;
  static_assert(sizeof(addresses) == 2 * (2 + 2 + 16 + 16));
  if (bytes.length != sizeof(addresses)) return bad_call(env);
  const int error = read_addresses(fd, &addresses);
  if (error == 0) memcpy(bytes.data, &addresses, sizeof(addresses));
  return failure_or_undefined(env, error);
}

// readTcpInfo(fd, bytes): the number of bytes filled in
Napi::Value read_tcp_info_into(Napi::Env env, int fd, Array<uint8_t> bytes) {
  const int filled = read_tcp_info(fd, bytes.data, bytes.length);
  return filled < 0 ? failure(env, filled) : Napi::Number::New(env, filled);
}

// sampleTcpInfo(fds, count, places, out): one row of `out` for each socket, two numbers of `places`
// for each field, as kernel/tcp-info.ts encodes them.
Napi::Value sample_tcp_info(Napi::Env env, Array<int32_t> fds, uint32_t count,
                            Array<uint32_t> places, Array<double> out) {
  const size_t field_count = places.length / 2;
  if (count > fds.length || field_count > kMostFields || out.length < count * field_count) {
    return bad_call(env);
  }
  Field fields[kMostFields];
  uint32_t needed = 0;
  for (size_t i = 0; i < field_count; i++) {
    const uint32_t place = places.data[2 * i];
    const uint32_t length = places.data[2 * i + 1];
    fields[i] = {place & 0xffff, 1u << ((place >> 16) & 0xf), (place >> 20) & 0xf, place >> 24,
                 length};
    if (!is_sound(fields[i]) || length > kMostBytes) return bad_call(env);
    needed = std::max(needed, length);
  }
  unsigned char bytes[kMostBytes];
  for (uint32_t i = 0; i < count; i++) {
    const int length = read_tcp_info(fds.data[i], bytes, needed);
    pick_fields(bytes, length, fields, field_count, out.data + i * field_count);
  }
  return env.Undefined();
}

// readCookie(fd): bigint
Napi::Value read_cookie_of(Napi::Env env, int fd) {
  uint64_t cookie;
  if (int error = read_cookie(fd, &cookie)) return failure(env, error);
  return Napi::BigInt::New(env, cookie);
}

// takeSocketError(fd): SO_ERROR of an ended connection, as -errno; undefined if there is none
Napi::Value take_socket_error(Napi::Env env, int fd) {
  int error = 0;
  if (take_error(fd, &error) != 0 || error == 0) return env.Undefined();
  return Napi::Number::New(env, -error);
}

// lose(fd, share)
Napi::Value lose_segments(Napi::Env env, int fd, double share) {
  return failure_or_undefined(env, lose(fd, share));
}

// ignoreProbes(fd)
Napi::Value drop_probes(Napi::Env env, int fd) {
  const Failure failed = ignore_probes(fd);
  return failed.error == 0 ? env.Undefined() : failure(env, failed);
}

// undeafen(fd)
Napi::Value remove_filter(Napi::Env env, int fd) {
  return failure_or_undefined(env, undeafen(fd));
}

// readDrops(fd): a count that wraps at 2^32
Napi::Value read_drop_count(Napi::Env env, int fd) {
  uint32_t drops;
  if (int error = read_drops(fd, &drops)) return failure(env, error);
  return Napi::Number::New(env, drops);
}

}  // namespace

void bind_socket(Napi::Env env, Napi::Object exports) {
  bind<read_addresses_into>(env, exports, "readAddresses");
  bind<read_tcp_info_into>(env, exports, "readTcpInfo");
  bind<sample_tcp_info>(env, exports, "sampleTcpInfo");
  bind<read_cookie_of>(env, exports, "readCookie");
  bind<take_socket_error>(env, exports, "takeSocketError");
  bind<lose_segments>(env, exports, "lose");
  bind<drop_probes>(env, exports, "ignoreProbes");
  bind<remove_filter>(env, exports, "undeafen");
  bind<read_drop_count>(env, exports, "readDrops");
}

}  // namespace deadpeer
