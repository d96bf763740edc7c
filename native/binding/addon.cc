#include "binding/binding.h"

namespace deadpeer {

Napi::Value bad_call(Napi::Env env) {
  Napi::TypeError::New(env, "the native core was called with the wrong arguments")
      .ThrowAsJavaScriptException();
  return env.Undefined();
}

bool read_descriptor(const Napi::CallbackInfo& info, size_t index, int* fd) {
  return napi_get_value_int32(info.Env(), info[index], fd) == napi_ok;
}

namespace {

// Of the sources that a shipped binary was made from; npm run verify:prebuilds looks for it.
#ifdef DEADPEER_SOURCES
constexpr char kSources[] = "deadpeer sources " DEADPEER_SOURCES;
#else
constexpr char kSources[] = "deadpeer sources, built here";
#endif

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("sources", kSources);
  bind_options(env, exports);
  bind_tcp_info(env, exports);
  bind_exec(env, exports);
  bind_filter(env, exports);
  bind_sock_diag(env, exports);
  bind_borrow(env, exports);
  bind_liveness(env, exports);
  bind_sock_destroy(env, exports);
  bind_deathwatch(env, exports);
  return exports;
}

NODE_API_MODULE(deadpeer, initialize)

}  // namespace

}  // namespace deadpeer
