#include <algorithm>
#include <cmath>
#include <limits>

#include "binding/binding.h"
#include "core/keepalive_timer.h"
#include "core/liveness.h"
#include "core/network_namespace.h"
#include "core/socket.h"

namespace deadpeer {

namespace {

// A row of a sample: error, state, probes, retransmits, unacked, notSent, seenAt, heardAt, rto,
// dataAt.
constexpr size_t kLookColumns = 10;
// A row of options: the first five of a profile. NaN: missing, or not to be written.
constexpr size_t kOptionColumns = 5;

void put_look(int error, const Look& seen, double* row) {
  const double values[kLookColumns] = {static_cast<double>(error),
                                       static_cast<double>(seen.state),
                                       static_cast<double>(seen.probes),
                                       static_cast<double>(seen.retransmits),
                                       static_cast<double>(seen.unacked),
                                       static_cast<double>(seen.not_sent),
                                       seen.seen_at,
                                       seen.heard_at,
                                       seen.rto,
                                       seen.data_at};
  for (size_t i = 0; i < kLookColumns; i++) row[i] = values[i];
}

Settings take_options(const double* row) {
  Settings settings;
  for (size_t i = 0; i < kOptionColumns; i++) {
    if (!std::isnan(row[i])) settings.set(static_cast<Option>(i), static_cast<int64_t>(row[i]));
  }
  return settings;
}

// Arrays may be longer than `count` sockets need, because TypeScript reuses them.
bool read_count(const Napi::CallbackInfo& info, size_t index, size_t room, size_t* count) {
  uint32_t value;
  if (napi_get_value_uint32(info.Env(), info[index], &value) != napi_ok || value > room)
    return false;
  *count = value;
  return true;
}

// identify(count, fds: Int32Array, cookies: BigUint64Array, states: Float64Array, errors:
// Float64Array): an error is 0 or -errno
Napi::Value identify_all(const Napi::CallbackInfo& info) {
  int* fds;
  uint64_t* cookies;
  double* states;
  double* errors;
  size_t fd_room, cookie_room, state_room, error_room, count;
  if (!read_array(info, 1, napi_int32_array, &fds, &fd_room) ||
      !read_array(info, 2, napi_biguint64_array, &cookies, &cookie_room) ||
      !read_array(info, 3, napi_float64_array, &states, &state_room) ||
      !read_array(info, 4, napi_float64_array, &errors, &error_room) ||
      !read_count(info, 0, std::min({fd_room, cookie_room, state_room, error_room}), &count)) {
    return bad_call(info.Env());
  }
  for (size_t i = 0; i < count; i++) {
    uint8_t state = 0;
    errors[i] = identify(fds[i], &cookies[i], &state);
    states[i] = state;
  }
  return info.Env().Undefined();
}

// look(count, fds: Int32Array, cookies: BigUint64Array | undefined, looks: Float64Array, options:
// Float64Array | undefined): one row of each for each socket. Without cookies, sockets are not
// checked.
Napi::Value look_at(const Napi::CallbackInfo& info) {
  int* fds;
  uint64_t* cookies = nullptr;
  double* looks;
  double* options = nullptr;
  size_t fd_room, cookie_room, look_room, option_room, count;
  if (!read_array(info, 1, napi_int32_array, &fds, &fd_room) ||
      !read_array(info, 3, napi_float64_array, &looks, &look_room) ||
      !read_count(info, 0, std::min(fd_room, look_room / kLookColumns), &count)) {
    return bad_call(info.Env());
  }
  if (!info[2].IsUndefined() &&
      (!read_array(info, 2, napi_biguint64_array, &cookies, &cookie_room) || cookie_room < count)) {
    return bad_call(info.Env());
  }
  if (!info[4].IsUndefined() && (!read_array(info, 4, napi_float64_array, &options, &option_room) ||
                                 option_room / kOptionColumns < count)) {
    return bad_call(info.Env());
  }
  for (size_t i = 0; i < count; i++) {
    Look seen = {};
    int error = look(fds[i], cookies == nullptr ? 0 : cookies[i], &seen);
    Settings settings;
    if (error == 0 && options != nullptr) error = read_keepalive(fds[i], &settings);
    put_look(error, seen, looks + i * kLookColumns);
    if (options != nullptr) put_values(settings, kOptionColumns, options + i * kOptionColumns);
  }
  return info.Env().Undefined();
}

// writeKeepalive(count, fds: Int32Array, before: Float64Array, wanted: Float64Array, asks:
// boolean): { index, refusal } for each refused socket, or undefined. `asks`: to send a probe.
Napi::Value write_keepalive_of(const Napi::CallbackInfo& info) {
  int* fds;
  double* before;
  double* wanted;
  bool asks;
  size_t fd_room, before_room, wanted_room, count;
  if (!read_array(info, 1, napi_int32_array, &fds, &fd_room) ||
      !read_array(info, 2, napi_float64_array, &before, &before_room) ||
      !read_array(info, 3, napi_float64_array, &wanted, &wanted_room) ||
      napi_get_value_bool(info.Env(), info[4], &asks) != napi_ok ||
      !read_count(info, 0,
                  std::min({fd_room, before_room / kOptionColumns, wanted_room / kOptionColumns}),
                  &count)) {
    return bad_call(info.Env());
  }
  napi_value refusals = nullptr;
  uint32_t refusal_count = 0;
  for (size_t i = 0; i < count; i++) {
    const Refusal refusal = write_keepalive(fds[i], take_options(before + i * kOptionColumns),
                                            take_options(wanted + i * kOptionColumns),
                                            asks ? Order::kAsk : Order::kStop);
    if (refusal.error == 0) continue;
    if (refusals == nullptr && napi_create_array(info.Env(), &refusals) != napi_ok) break;
    Result result(info.Env());
    result.number("index", static_cast<double>(i));
    result.value("refusal", refusal_or_undefined(info.Env(), refusal));
    napi_set_element(info.Env(), refusals, refusal_count++, result.object());
  }
  if (refusals == nullptr) return info.Env().Undefined();
  return Napi::Value(info.Env(), refusals);
}

// readKeepaliveTimers(pid, count, fds: Int32Array, cookies: BigUint64Array, due: Float64Array): the
// time until each timer fires, in ms; NaN if unknown.
//
// The sockets are in the network namespace of process `pid`; 0 is the caller's.
Napi::Value read_keepalive_timers(const Napi::CallbackInfo& info) {
  int pid;
  int* fds;
  uint64_t* cookies;
  double* due;
  size_t fd_room, cookie_room, due_room, count;
  if (!read_descriptor(info, 0, &pid) || !read_array(info, 2, napi_int32_array, &fds, &fd_room) ||
      !read_array(info, 3, napi_biguint64_array, &cookies, &cookie_room) ||
      !read_array(info, 4, napi_float64_array, &due, &due_room) ||
      !read_count(info, 1, std::min({fd_room, cookie_room, due_room}), &count)) {
    return bad_call(info.Env());
  }
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  std::fill_n(due, count, kUnknown);
  in_network_namespace_of(pid, [&] {
    KeepaliveTimers timers;
    for (size_t i = 0; i < count; i++) {
      uint32_t ms;
      if (timers.read(fds[i], cookies[i], &ms) == 0) due[i] = ms;
    }
  });
  return info.Env().Undefined();
}

}  // namespace

void bind_liveness(Napi::Env env, Napi::Object exports) {
  bind<identify_all>(env, exports, "identify");
  bind<look_at>(env, exports, "look");
  bind<write_keepalive_of>(env, exports, "writeKeepalive");
  bind<read_keepalive_timers>(env, exports, "readKeepaliveTimers");
}

}  // namespace deadpeer
