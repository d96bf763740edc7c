#pragma once

#include <napi.h>

#include "core/options.h"

namespace deadpeer {

// Each file of this folder adds what it binds. Errors come back as numbers, -errno among them:
// the facade knows what was asked and makes the typed error.
void bind_options(Napi::Env env, Napi::Object exports);
void bind_tcp_info(Napi::Env env, Napi::Object exports);
void bind_exec(Napi::Env env, Napi::Object exports);
void bind_filter(Napi::Env env, Napi::Object exports);
void bind_sock_diag(Napi::Env env, Napi::Object exports);
void bind_borrow(Napi::Env env, Napi::Object exports);
void bind_liveness(Napi::Env env, Napi::Object exports);
void bind_sock_destroy(Napi::Env env, Napi::Object exports);
void bind_deathwatch(Napi::Env env, Napi::Object exports);

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
void bind(Napi::Env env, Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<function>(env, name));
}

// Arguments are checked by the facade; a wrong one here is our own mistake, and says so.
Napi::Value bad_call(Napi::Env env);
bool read_descriptor(const Napi::CallbackInfo& info, size_t index, int* fd);

// A refusal is one number: -(errno + 4096 * option + 65536 * mask of those written), or 0 where
// there is none.
inline int encode(const Refusal& refusal) {
  if (refusal.error == 0) return 0;
  return -(-refusal.error + 4096 * refusal.option + 65536 * refusal.written);
}

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
