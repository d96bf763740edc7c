#pragma once

#include <napi.h>

#include <memory>
#include <tuple>
#include <utility>

#include "core/failure.h"
#include "core/options.h"

namespace deadpeer {

// Each file of this folder binds what its name says. A call that can fail returns its value, or a
// failure: an object { errno, syscall }. A call without a value returns undefined, or a failure.
// TypeScript makes the typed error.
void bind_options(Napi::Env env, Napi::Object exports);
void bind_socket(Napi::Env env, Napi::Object exports);
void bind_process(Napi::Env env, Napi::Object exports);
void bind_sock_diag(Napi::Env env, Napi::Object exports);
void bind_liveness(Napi::Env env, Napi::Object exports);
void bind_deathwatch(Napi::Env env, Napi::Object exports);
void bind_network_namespace(Napi::Env env, Napi::Object exports);

// TypeScript checks arguments. A wrong argument here is a bug in this package.
Napi::Value bad_call(Napi::Env env);

// The elements of a typed array.
template <typename Element>
struct Array {
  Element* data = nullptr;
  size_t length = 0;
};
template <typename Element>
inline constexpr napi_typedarray_type kArrayType{};
template <>
inline constexpr napi_typedarray_type kArrayType<uint8_t> = napi_uint8_array;
template <>
inline constexpr napi_typedarray_type kArrayType<int32_t> = napi_int32_array;
template <>
inline constexpr napi_typedarray_type kArrayType<uint32_t> = napi_uint32_array;
template <>
inline constexpr napi_typedarray_type kArrayType<double> = napi_float64_array;
template <>
inline constexpr napi_typedarray_type kArrayType<uint64_t> = napi_biguint64_array;

// Reads a JavaScript value. Returns false if it has another type.
template <typename Value>
inline constexpr auto kGetter = nullptr;
template <>
inline constexpr auto kGetter<int32_t> = napi_get_value_int32;
template <>
inline constexpr auto kGetter<uint32_t> = napi_get_value_uint32;
template <>
inline constexpr auto kGetter<double> = napi_get_value_double;
template <>
inline constexpr auto kGetter<bool> = napi_get_value_bool;

template <typename Value>
bool read_value(napi_env env, napi_value value, Value* read) {
  return kGetter<Value>(env, value, read) == napi_ok;
}

inline bool read_value(napi_env env, napi_value value, uint64_t* bigint) {
  bool lossless = false;
  return napi_get_value_bigint_uint64(env, value, bigint, &lossless) == napi_ok && lossless;
}

inline bool read_value(napi_env env, napi_value value, Napi::Function* function) {
  *function = Napi::Function(env, value);
  return function->IsFunction();
}

inline bool read_value(napi_env env, napi_value value, Napi::Object* object) {
  *object = Napi::Object(env, value);
  return object->IsObject();
}

template <typename Element>
bool read_value(napi_env env, napi_value value, Array<Element>* array) {
  napi_typedarray_type type;
  void* data;
  if (napi_get_typedarray_info(env, value, &type, &array->length, &data, nullptr, nullptr) !=
      napi_ok) {
    return false;
  }
  array->data = static_cast<Element*>(data);
  return type == kArrayType<Element>;
}

// The value that hold() returned.
template <typename Held>
bool read_value(napi_env env, napi_value value, Held** held) {
  void* data;
  if (napi_get_value_external(env, value, &data) != napi_ok) return false;
  *held = static_cast<Held*>(data);
  return true;
}

template <typename Value>
bool read_field(const Napi::Object& object, const char* name, Value* value) {
  napi_value field;
  return napi_get_named_property(object.Env(), object, name, &field) == napi_ok &&
         read_value(object.Env(), field, value);
}

// Calls a function with arguments of the types that its parameters declare.
template <auto function>
struct Bound;
template <typename... Parameters, Napi::Value (*function)(Napi::Env, Parameters...)>
struct Bound<function> {
  static Napi::Value call(const Napi::CallbackInfo& info) {
    return with(info, std::index_sequence_for<Parameters...>());
  }

  template <size_t... index>
  static Napi::Value with(const Napi::CallbackInfo& info, std::index_sequence<index...>) {
    std::tuple<Parameters...> arguments;
    if (!(read_value(info.Env(), info[index], &std::get<index>(arguments)) && ...)) {
      return bad_call(info.Env());
    }
    return function(info.Env(), std::get<index>(arguments)...);
  }
};
template <Napi::Value (*function)(const Napi::CallbackInfo&)>
struct Bound<function> {
  static constexpr auto call = function;
};

template <auto function>
void bind(Napi::Env env, Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<Bound<function>::call>(env, name));
}

// For functions that take a CallbackInfo: optional arguments, or arrays longer than the used part.
inline bool read_descriptor(const Napi::CallbackInfo& info, size_t index, int* fd) {
  return read_value(info.Env(), info[index], fd);
}
template <typename Element>
bool read_array(const Napi::CallbackInfo& info, size_t index, napi_typedarray_type,
                Element** elements, size_t* length) {
  Array<Element> array;
  if (!read_value(info.Env(), info[index], &array)) return false;
  *elements = array.data;
  *length = array.length;
  return true;
}

// An external that owns a value and frees it with the environment: a terminated worker runs no
// `finally`. Empty while the environment is torn down.
template <typename Held>
Napi::Value hold(Napi::Env env, std::unique_ptr<Held> held) {
  const auto external =
      Napi::External<Held>::New(env, held.get(), [](Napi::Env, Held* data) { delete data; });
  if (!external.IsEmpty()) held.release();
  return external;
}

// A result with named fields. While a worker is being terminated, no property can be set. That is
// harmless, because no JavaScript that could read the result runs any more.
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

// { errno, syscall } of a failed call. `syscall` is missing if only one call is possible, or if the
// kernel executed the request and answered with the error.
Napi::Value failure(Napi::Env env, int error, const char* syscall = nullptr);
inline Napi::Value failure(Napi::Env env, const Failure& failed) {
  return failure(env, failed.error, failed.syscall);
}

// undefined for 0, else a failure.
Napi::Value failure_or_undefined(Napi::Env env, int error);

// { errno, option, written }: options by the names of a profile's fields. Without `option` the
// kernel refused the descriptor itself. undefined if nothing was refused.
Napi::Value refusal_or_undefined(Napi::Env env, const Refusal& refusal);

// The first `count` options of a profile, in its order; NaN for options that are missing.
void put_values(const Settings& settings, size_t count, double* row);

}  // namespace deadpeer
