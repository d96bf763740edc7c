#include "binding/binding.h"

namespace deadpeer {

Napi::Value bad_call(Napi::Env env) {
  Napi::TypeError::New(env, "the native core was called with the wrong arguments")
      .ThrowAsJavaScriptException();
  return env.Undefined();
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

Napi::Value failure_or_undefined(Napi::Env env, int error) {
  return error == 0 ? env.Undefined() : failure(env, error);
}

namespace {

// The hash of the sources of a shipped binary. npm run verify:prebuilds searches for it.
#ifdef DEADPEER_SOURCES
constexpr char kSources[] = "deadpeer sources " DEADPEER_SOURCES;
#else
constexpr char kSources[] = "deadpeer sources, built here";
#endif

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("sources", kSources);
  bind_options(env, exports);
  bind_socket(env, exports);
  bind_process(env, exports);
  bind_sock_diag(env, exports);
  bind_liveness(env, exports);
  bind_deathwatch(env, exports);
  bind_network_namespace(env, exports);
  return exports;
}

NODE_API_MODULE(deadpeer, initialize)

}  // namespace

}  // namespace deadpeer
