#pragma once

#include <napi.h>

namespace deadpeer {

// Each file of this folder adds what it binds. Errors come back as numbers, -errno among them:
// the facade knows what was asked and makes the typed error.
void bind_options(Napi::Env env, Napi::Object exports);
void bind_tcp_info(Napi::Env env, Napi::Object exports);
void bind_filter(Napi::Env env, Napi::Object exports);

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
void bind(Napi::Env env, Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<function>(env, name));
}

// Arguments are checked by the facade; a wrong one here is our own mistake, and says so.
Napi::Value bad_call(Napi::Env env);
bool read_descriptor(const Napi::CallbackInfo& info, size_t index, int* fd);

}  // namespace deadpeer
