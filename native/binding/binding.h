#pragma once

#include <napi.h>

#include "core/options.h"

namespace deadpeer {

// Each file of this folder adds what it binds. No number means two things: a call that returns a
// number on success returns an object where it failed, and -errno alone is only returned by calls
// that return nothing else. The facade knows what was asked and makes the typed error.
void bind_addresses(Napi::Env env, Napi::Object exports);
void bind_options(Napi::Env env, Napi::Object exports);
void bind_tcp_info(Napi::Env env, Napi::Object exports);
void bind_exec(Napi::Env env, Napi::Object exports);
void bind_filter(Napi::Env env, Napi::Object exports);
void bind_sock_diag(Napi::Env env, Napi::Object exports);
void bind_borrow(Napi::Env env, Napi::Object exports);
void bind_liveness(Napi::Env env, Napi::Object exports);
void bind_sock_destroy(Napi::Env env, Napi::Object exports);
void bind_deathwatch(Napi::Env env, Napi::Object exports);
void bind_network_namespace(Napi::Env env, Napi::Object exports);

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
void bind(Napi::Env env, Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<function>(env, name));
}

// Arguments are checked by the facade; a wrong one here is our own mistake, and says so.
Napi::Value bad_call(Napi::Env env);
bool read_descriptor(const Napi::CallbackInfo& info, size_t index, int* fd);

// A result with named fields. A worker that is being terminated lets no property be set, and runs
// nothing that could miss it.
class Result {
 public:
  explicit Result(napi_env env);
  Result& number(const char* name, double value);
  Result& boolean(const char* name, bool value);
  Result& value(const char* name, napi_value value);
  Napi::Value object() const { return Napi::Value(env_, object_); }

 private:
  napi_env env_;
  napi_value object_ = nullptr;
};

// { errno, syscall } of a call that failed. Without `syscall` the call is known, or the kernel
// carried it out and answered with the error.
Napi::Value failure(Napi::Env env, int error, const char* syscall = nullptr);

// { errno, option, written }: options by the names of a profile's fields. Without an option the
// descriptor itself is the fault. undefined where nothing was refused.
Napi::Value refusal_or_undefined(Napi::Env env, const Refusal& refusal);

// The first `count` options of a profile, in its order; NaN for those that are not there.
void put_values(const Settings& settings, size_t count, double* row);

// The elements of a typed array of just this type.
template <typename Array>
bool read_array(const Napi::CallbackInfo& info, size_t index, napi_typedarray_type wanted,
                Array** elements, size_t* length) {
  napi_typedarray_type type;
  void* data;
  if (napi_get_typedarray_info(info.Env(), info[index], &type, length, &data, nullptr, nullptr) !=
      napi_ok) {
    return false;
  }
  *elements = static_cast<Array*>(data);
  return type == wanted;
}

}  // namespace deadpeer
