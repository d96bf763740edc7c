#include <limits>
#include <memory>
#include <vector>

#include "binding/binding.h"
#include "core/borrow.h"

namespace deadpeer {

namespace {

// The descriptor lives behind an external: a worker that is terminated runs no `finally`, but its
// environment frees what it holds.
Descriptor* borrowed(const Napi::CallbackInfo& info) {
  void* data = nullptr;
  const napi_status status = napi_get_value_external(info.Env(), info[0], &data);
  return status == napi_ok ? static_cast<Descriptor*>(data) : nullptr;
}

// borrow(pid, fd): external, or -(errno + 4096 * call)
Napi::Value borrow_from(const Napi::CallbackInfo& info) {
  int pid, fd;
  if (!read_descriptor(info, 0, &pid) || !read_descriptor(info, 1, &fd)) {
    return bad_call(info.Env());
  }
  auto owned = std::make_unique<Descriptor>(-1);
  BorrowCall refused;
  if (int error = borrow(pid, fd, owned.get(), &refused)) {
    return Napi::Number::New(info.Env(), error - 4096 * static_cast<int>(refused));
  }
  const auto external = Napi::External<Descriptor>::New(
      info.Env(), owned.get(), [](Napi::Env, Descriptor* data) { delete data; });
  // Not made where the environment is being torn down (worker.terminate()).
  if (!external.IsEmpty()) owned.release();
  return external;
}

// borrowedNumber(external): the descriptor's number here, -1 once given back
Napi::Value borrowed_number(const Napi::CallbackInfo& info) {
  const Descriptor* descriptor = borrowed(info);
  if (descriptor == nullptr) return bad_call(info.Env());
  return Napi::Number::New(info.Env(), descriptor->get());
}

// giveBack(external)
Napi::Value give_back(const Napi::CallbackInfo& info) {
  Descriptor* descriptor = borrowed(info);
  if (descriptor == nullptr) return bad_call(info.Env());
  descriptor->reset();
  return info.Env().Undefined();
}

// readOptionsOf(pid, fds: Int32Array, cookies: BigUint64Array, values: Float64Array, results:
// Float64Array): a row of values a socket, NaN for what it does not have; and 0, or -(errno + 4096
// * call)
Napi::Value read_options_of_process(const Napi::CallbackInfo& info) {
  int pid;
  int* fds;
  uint64_t* cookies;
  double* values;
  double* results;
  size_t count, cookie_count, value_count, result_count;
  if (!read_descriptor(info, 0, &pid) || !read_array(info, 1, napi_int32_array, &fds, &count) ||
      !read_array(info, 2, napi_biguint64_array, &cookies, &cookie_count) ||
      !read_array(info, 3, napi_float64_array, &values, &value_count) ||
      !read_array(info, 4, napi_float64_array, &results, &result_count) || cookie_count != count ||
      value_count != count * kOptionCount || result_count != count) {
    return bad_call(info.Env());
  }
  std::vector<OwnersOptions> sockets(count);
  for (size_t i = 0; i < count; i++) {
    sockets[i].fd = fds[i];
    sockets[i].cookie = cookies[i];
  }
  read_options_of(pid, sockets.data(), count);
  for (size_t i = 0; i < count; i++) {
    const auto& [fd, cookie, settings, error, refused] = sockets[i];
    results[i] = error == 0 ? 0 : error - 4096 * static_cast<int>(refused);
    for (int at = 0; at < kOptionCount; at++) {
      values[i * kOptionCount + static_cast<size_t>(at)] =
          settings.has(static_cast<Option>(at))
              ? static_cast<double>(settings.value[static_cast<size_t>(at)])
              : std::numeric_limits<double>::quiet_NaN();
    }
  }
  return info.Env().Undefined();
}

}  // namespace

void bind_borrow(Napi::Env env, Napi::Object exports) {
  bind<borrow_from>(env, exports, "borrow");
  bind<borrowed_number>(env, exports, "borrowedNumber");
  bind<give_back>(env, exports, "giveBack");
  bind<read_options_of_process>(env, exports, "readOptionsOf");
}

}  // namespace deadpeer
