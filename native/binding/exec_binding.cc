#include "binding/binding.h"
#include "core/exec.h"

namespace deadpeer {

namespace {

// exec(arguments: Uint8Array, lastDescriptor): -errno; it does not return where it succeeds
Napi::Value exec_at(const Napi::CallbackInfo& info) {
  char* arguments;
  size_t size;
  int last_descriptor;
  if (!read_array(info, 0, napi_uint8_array, &arguments, &size) ||
      !read_descriptor(info, 1, &last_descriptor)) {
    return bad_call(info.Env());
  }
  return Napi::Number::New(info.Env(), exec_program(arguments, size, last_descriptor));
}

}  // namespace

void bind_exec(Napi::Env env, Napi::Object exports) {
  bind<exec_at>(env, exports, "exec");
}

}  // namespace deadpeer
