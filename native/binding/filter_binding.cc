#include "binding/binding.h"
#include "core/filter.h"

namespace deadpeer {

namespace {

// lose(fd, share): 0, or -errno
Napi::Value lose_at(const Napi::CallbackInfo& info) {
  int fd;
  double share;
  if (!read_descriptor(info, 0, &fd) ||
      napi_get_value_double(info.Env(), info[1], &share) != napi_ok) {
    return bad_call(info.Env());
  }
  return Napi::Number::New(info.Env(), lose(fd, share));
}

// undeafen(fd): 0, or -errno
Napi::Value undeafen_at(const Napi::CallbackInfo& info) {
  int fd;
  if (!read_descriptor(info, 0, &fd)) return bad_call(info.Env());
  return Napi::Number::New(info.Env(), undeafen(fd));
}

// readDrops(fd): a count that wraps around at 2^32, or { errno }
Napi::Value read_drops_at(const Napi::CallbackInfo& info) {
  int fd;
  if (!read_descriptor(info, 0, &fd)) return bad_call(info.Env());
  uint32_t drops;
  if (int error = read_drops(fd, &drops)) return failure(info.Env(), error);
  return Napi::Number::New(info.Env(), drops);
}

}  // namespace

void bind_filter(Napi::Env env, Napi::Object exports) {
  bind<lose_at>(env, exports, "lose");
  bind<undeafen_at>(env, exports, "undeafen");
  bind<read_drops_at>(env, exports, "readDrops");
}

}  // namespace deadpeer
