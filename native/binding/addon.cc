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

Result::Result(napi_env env) : env_(env) {
  napi_create_object(env, &object_);
}

Result& Result::number(const char* name, double number) {
  napi_value made;
  return napi_create_double(env_, number, &made) == napi_ok ? value(name, made) : *this;
}

Result& Result::boolean(const char* name, bool boolean) {
  napi_value made;
  return napi_get_boolean(env_, boolean, &made) == napi_ok ? value(name, made) : *this;
}

Result& Result::value(const char* name, napi_value value) {
  napi_set_named_property(env_, object_, name, value);
  return *this;
}

Napi::Value failure(Napi::Env env, int error, const char* syscall) {
  Result result(env);
  result.number("errno", error);
  if (syscall != nullptr) result.value("syscall", Napi::String::New(env, syscall));
  return result.object();
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
  bind_addresses(env, exports);
  bind_options(env, exports);
  bind_tcp_info(env, exports);
  bind_exec(env, exports);
  bind_filter(env, exports);
  bind_sock_diag(env, exports);
  bind_borrow(env, exports);
  bind_liveness(env, exports);
  bind_sock_destroy(env, exports);
  bind_deathwatch(env, exports);
  bind_network_namespace(env, exports);
  return exports;
}

NODE_API_MODULE(deadpeer, initialize)

}  // namespace

}  // namespace deadpeer
