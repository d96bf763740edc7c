#include "binding/binding.h"
#include "core/filter.h"

namespace deadpeer {

namespace {

template <int (*change)(int fd)>
Napi::Value change_filter(const Napi::CallbackInfo& info) {
  int fd;
  if (!read_descriptor(info, 0, &fd)) return bad_call(info.Env());
  return Napi::Number::New(info.Env(), change(fd));
}

}  // namespace

void bind_filter(Napi::Env env, Napi::Object exports) {
  bind<change_filter<deafen>>(env, exports, "deafen");
  bind<change_filter<undeafen>>(env, exports, "undeafen");
}

}  // namespace deadpeer
