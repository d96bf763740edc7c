#include <algorithm>
#include <memory>

#include "binding/binding.h"
#include "core/clock.h"
#include "core/options.h"
#include "core/tune.h"

namespace deadpeer {

namespace {

// A result is one number. 0: done. Above 0: done, and the peer was last heard at that time.
// Below 0: a refusal, or kHeld.
constexpr int kHeld = -(1 << 20);

double encode(const Tuned& tuned) {
  if (tuned.held) return kHeld;
  return tuned.refusal.error != 0 ? encode(tuned.refusal) : tuned.heard_at;
}

// Settings live on our side behind an external, so that a call per connection converts nothing.
Prepared* compiled(const Napi::CallbackInfo& info, size_t index) {
  void* data = nullptr;
  const napi_status status = napi_get_value_external(info.Env(), info[index], &data);
  return status == napi_ok ? static_cast<Prepared*>(data) : nullptr;
}

// compile(mask, values: Float64Array): external, or a refusal where no kernel could take a value
Napi::Value compile(const Napi::CallbackInfo& info) {
  uint32_t mask;
  double* values;
  size_t length;
  if (napi_get_value_uint32(info.Env(), info[0], &mask) != napi_ok ||
      !read_array(info, 1, napi_float64_array, &values, &length) || length != kOptionCount) {
    return bad_call(info.Env());
  }
  Settings settings;
  for (int i = 0; i < kOptionCount; i++) {
    const Option option = static_cast<Option>(i);
    if (mask & bit(option)) settings.set(option, static_cast<int64_t>(values[i]));
  }
  const Refusal refusal = check(settings);
  if (refusal.error != 0) return Napi::Number::New(info.Env(), encode(refusal));
  auto owned = std::make_unique<Prepared>(settings, false);
  const auto external = Napi::External<Prepared>::New(
      info.Env(), owned.get(), [](Napi::Env, Prepared* data) { delete data; });
  // Not made where the environment is being torn down (worker.terminate()).
  if (!external.IsEmpty()) owned.release();
  return external;
}

// rehearse(compiled): 0, or a refusal. From then on the settings are known to be good.
Napi::Value rehearse_compiled(const Napi::CallbackInfo& info) {
  Prepared* profile = compiled(info, 0);
  if (profile == nullptr) return bad_call(info.Env());
  const Refusal refusal = rehearse(profile->settings);
  profile->known_good = refusal.error == 0 && refused_first_or_never(profile->settings);
  return Napi::Number::New(info.Env(), encode(refusal));
}

// tune(fd, compiled, heardAt): result
Napi::Value tune_one(const Napi::CallbackInfo& info) {
  int fd;
  double heard_at;
  const Prepared* profile = compiled(info, 1);
  if (!read_descriptor(info, 0, &fd) || profile == nullptr ||
      napi_get_value_double(info.Env(), info[2], &heard_at) != napi_ok) {
    return bad_call(info.Env());
  }
  return Napi::Number::New(info.Env(), encode(tune(fd, *profile, heard_at, coarse_clock())));
}

// tuneMany(fds: Int32Array, compiled, heardAt: Float64Array), whose elements become the results
Napi::Value tune_many(const Napi::CallbackInfo& info) {
  const Prepared* profile = compiled(info, 1);
  int* fd;
  double* result;
  size_t count, results;
  if (!read_array(info, 0, napi_int32_array, &fd, &count) || profile == nullptr ||
      !read_array(info, 2, napi_float64_array, &result, &results) || results != count) {
    return bad_call(info.Env());
  }
  const double now = coarse_clock();
  for (size_t i = 0; i < count; i++) {
    result[i] = encode(tune(fd[i], *profile, result[i], now));
  }
  return info.Env().Undefined();
}

// wouldHold(fd, compiled): whether tune() would hold it now
Napi::Value would_hold_one(const Napi::CallbackInfo& info) {
  int fd;
  const Prepared* profile = compiled(info, 1);
  if (!read_descriptor(info, 0, &fd) || profile == nullptr) return bad_call(info.Env());
  return Napi::Boolean::New(info.Env(), would_hold(fd, profile->settings));
}

// apply(fd, compiled): 0, or a refusal. Whatever the state of the connection.
Napi::Value apply_one(const Napi::CallbackInfo& info) {
  int fd;
  const Prepared* profile = compiled(info, 1);
  if (!read_descriptor(info, 0, &fd) || profile == nullptr) return bad_call(info.Env());
  return Napi::Number::New(info.Env(), encode(apply(fd, *profile)));
}

// readOptions(fd, values: Float64Array): mask of the values filled in, or -errno
Napi::Value read_options(const Napi::CallbackInfo& info) {
  int fd;
  double* values;
  size_t length;
  if (!read_descriptor(info, 0, &fd) ||
      !read_array(info, 1, napi_float64_array, &values, &length) || length != kOptionCount) {
    return bad_call(info.Env());
  }
  Settings settings;
  if (int error = read(fd, &settings)) return Napi::Number::New(info.Env(), error);
  std::copy(settings.value.begin(), settings.value.end(), values);
  return Napi::Number::New(info.Env(), settings.mask);
}

bool read_option_number(const Napi::CallbackInfo& info, size_t index, Option* option) {
  uint32_t number;
  if (napi_get_value_uint32(info.Env(), info[index], &number) != napi_ok ||
      number >= kOptionCount) {
    return false;
  }
  *option = static_cast<Option>(number);
  return true;
}

// getOption(fd, option): value, or -errno. Not for options that can be below 0; there are none.
Napi::Value get_one_option(const Napi::CallbackInfo& info) {
  int fd, value;
  Option option;
  if (!read_descriptor(info, 0, &fd) || !read_option_number(info, 1, &option)) {
    return bad_call(info.Env());
  }
  const int error = get_option(fd, option, &value);
  return Napi::Number::New(info.Env(), error != 0 ? error : value);
}

// setOption(fd, option, value): 0, or -errno
Napi::Value set_one_option(const Napi::CallbackInfo& info) {
  int fd, value;
  Option option;
  if (!read_descriptor(info, 0, &fd) || !read_option_number(info, 1, &option) ||
      napi_get_value_int32(info.Env(), info[2], &value) != napi_ok) {
    return bad_call(info.Env());
  }
  return Napi::Number::New(info.Env(), set_option(fd, option, value));
}

Napi::Array option_table(Napi::Env env) {
  Napi::Array table = Napi::Array::New(env, kOptionCount);
  for (uint32_t i = 0; i < kOptionCount; i++) {
    const OptionSpec& spec = kOptions[i];
    Napi::Object row = Napi::Object::New(env);
    row.Set("name", spec.name);
    row.Set("constant", spec.constant);
    row.Set("unit", spec.unit);
    row.Set("min", spec.min);
    row.Set("max", spec.max);
    table.Set(i, row);
  }
  return table;
}

}  // namespace

void bind_options(Napi::Env env, Napi::Object exports) {
  exports.Set("options", option_table(env));
  exports.Set("HELD", kHeld);
  bind<compile>(env, exports, "compile");
  bind<rehearse_compiled>(env, exports, "rehearse");
  bind<tune_one>(env, exports, "tune");
  bind<tune_many>(env, exports, "tuneMany");
  bind<would_hold_one>(env, exports, "wouldHold");
  bind<apply_one>(env, exports, "apply");
  bind<read_options>(env, exports, "readOptions");
  bind<get_one_option>(env, exports, "getOption");
  bind<set_one_option>(env, exports, "setOption");
}

}  // namespace deadpeer
