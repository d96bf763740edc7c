#include <cmath>
#include <limits>
#include <memory>

#include "binding/binding.h"
#include "core/clock.h"
#include "core/options.h"
#include "core/tune.h"

namespace deadpeer {

namespace {

bool is_done(const Tuned& tuned) {
  return !tuned.held && tuned.refusal.error == 0;
}

// { held, refusal } for a connection to which not everything was written.
Result not_done(Napi::Env env, const Tuned& tuned) {
  Result result(env);
  result.boolean("held", tuned.held);
  result.value("refusal", refusal_or_undefined(env, tuned.refusal));
  return result;
}

// Settings stay on the native side behind an external, so a call for a connection does not convert
// them again.
Prepared* compiled(const Napi::CallbackInfo& info, size_t index) {
  void* data = nullptr;
  const napi_status status = napi_get_value_external(info.Env(), info[index], &data);
  return status == napi_ok ? static_cast<Prepared*>(data) : nullptr;
}

// compile(values: Float64Array): an external, or a refusal if no kernel could accept a value. NaN
// means that a value is not set.
Napi::Value compile(Napi::Env env, Array<double> values) {
  if (values.length != kOptionCount) return bad_call(env);
  Settings settings;
  for (int i = 0; i < kOptionCount; i++) {
    if (std::isnan(values.data[i])) continue;
    settings.set(static_cast<Option>(i), static_cast<int64_t>(values.data[i]));
  }
  const Refusal refusal = check(settings);
  if (refusal.error != 0) return refusal_or_undefined(env, refusal);
  return hold(env, std::make_unique<Prepared>(settings, false));
}

// rehearse(compiled): returns a refusal or undefined. Sets `known_good` if nothing was refused and
// refused_first_or_never() is true.
Napi::Value rehearse_compiled(Napi::Env env, Prepared* profile) {
  const Refusal refusal = rehearse(profile->settings);
  profile->known_good = refusal.error == 0 && refused_first_or_never(profile->settings);
  return refusal_or_undefined(env, refusal);
}

// tune(fd, compiled, heardAt): returns the time at which the peer was last heard, or NaN if the
// kernel's counters were not read. Returns { held, refusal } if not everything was written.
Napi::Value tune_one(const Napi::CallbackInfo& info) {
  int fd;
  double heard_at;
  const Prepared* profile = compiled(info, 1);
  if (!read_descriptor(info, 0, &fd) || profile == nullptr ||
      napi_get_value_double(info.Env(), info[2], &heard_at) != napi_ok) {
    return bad_call(info.Env());
  }
  const Tuned tuned = tune(fd, *profile, heard_at, coarse_clock());
  return is_done(tuned) ? Napi::Number::New(info.Env(), tuned.heard_at)
                        : not_done(info.Env(), tuned).object();
}

// tuneMany(fds: Int32Array, compiled, heardAt: Float64Array): { index, held, refusal } for each
// socket to which not everything was written, or undefined. The elements of heardAt become what
// tune() returns.
Napi::Value tune_many(const Napi::CallbackInfo& info) {
  const Prepared* profile = compiled(info, 1);
  int* fd;
  double* heard_at;
  size_t count, places;
  if (!read_array(info, 0, napi_int32_array, &fd, &count) || profile == nullptr ||
      !read_array(info, 2, napi_float64_array, &heard_at, &places) || places != count) {
    return bad_call(info.Env());
  }
  const double now = coarse_clock();
  napi_value exceptions = nullptr;
  uint32_t exception_count = 0;
  for (size_t i = 0; i < count; i++) {
    const Tuned tuned = tune(fd[i], *profile, heard_at[i], now);
    heard_at[i] = tuned.heard_at;
    if (is_done(tuned)) continue;
    if (exceptions == nullptr && napi_create_array(info.Env(), &exceptions) != napi_ok) break;
    Result result = not_done(info.Env(), tuned);
    result.number("index", static_cast<double>(i));
    napi_set_element(info.Env(), exceptions, exception_count++, result.object());
  }
  if (exceptions == nullptr) return info.Env().Undefined();
  return Napi::Value(info.Env(), exceptions);
}

// wouldHold(fd, compiled): whether tune() would return `held` now.
Napi::Value would_hold_one(const Napi::CallbackInfo& info) {
  int fd;
  const Prepared* profile = compiled(info, 1);
  if (!read_descriptor(info, 0, &fd) || profile == nullptr) return bad_call(info.Env());
  return Napi::Boolean::New(info.Env(), would_hold(fd, profile->settings));
}

// apply(fd, compiled): a refusal or undefined. Writes in any state of the connection.
Napi::Value apply_one(Napi::Env env, int fd, Prepared* profile) {
  return refusal_or_undefined(env, apply(fd, *profile));
}

// readOptions(fd, values). NaN means that the socket does not have the option.
Napi::Value read_options(Napi::Env env, int fd, Array<double> values) {
  if (values.length != kOptionCount) return bad_call(env);
  Settings settings;
  const int error = read(fd, &settings);
  if (error == 0) put_values(settings, kOptionCount, values.data);
  return failure_or_undefined(env, error);
}

// getOption(fd, option): a number in the kernel's unit
Napi::Value get_one_option(Napi::Env env, int fd, uint32_t option) {
  if (option >= kOptionCount) return bad_call(env);
  int value;
  const int error = get_in_kernel_unit(fd, static_cast<Option>(option), &value);
  return error != 0 ? failure(env, error) : Napi::Number::New(env, value);
}

// setOption(fd, option, value)
Napi::Value set_one_option(Napi::Env env, int fd, uint32_t option, int value) {
  if (option >= kOptionCount) return bad_call(env);
  return failure_or_undefined(env, set_in_kernel_unit(fd, static_cast<Option>(option), value));
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

Napi::Value refusal_or_undefined(Napi::Env env, const Refusal& refusal) {
  if (refusal.error == 0) return env.Undefined();
  Result result(env);
  result.number("errno", refusal.error);
  napi_value name, written;
  uint32_t written_count = 0;
  if (napi_create_array(env, &written) != napi_ok) return result.object();
  for (int i = 0; i < kOptionCount; i++) {
    const Option option = static_cast<Option>(i);
    if (napi_create_string_utf8(env, kOptions[i].name, NAPI_AUTO_LENGTH, &name) != napi_ok) break;
    if (option == refusal.option) result.value("option", name);
    if ((refusal.written & bit(option)) != 0) {
      napi_set_element(env, written, written_count++, name);
    }
  }
  return result.value("written", written).object();
}

void put_values(const Settings& settings, size_t count, double* row) {
  for (size_t i = 0; i < count; i++) {
    row[i] = settings.has(static_cast<Option>(i)) ? static_cast<double>(settings.value[i])
                                                  : std::numeric_limits<double>::quiet_NaN();
  }
}

void bind_options(Napi::Env env, Napi::Object exports) {
  exports.Set("options", option_table(env));
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
