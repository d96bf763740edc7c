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

// borrow(pid, fd): { borrowed: external }, or { errno, call } with the place of the call in
// BorrowCall
Napi::Value borrow_from(const Napi::CallbackInfo& info) {
  int pid, fd;
  if (!read_descriptor(info, 0, &pid) || !read_descriptor(info, 1, &fd)) {
    return bad_call(info.Env());
  }
  auto owned = std::make_unique<Descriptor>(-1);
  BorrowCall refused;
  if (int error = borrow(pid, fd, owned.get(), &refused)) {
    return Result(info.Env())
        .number("errno", error)
        .number("call", static_cast<int>(refused))
        .object();
  }
  const auto external = Napi::External<Descriptor>::New(
      info.Env(), owned.get(), [](Napi::Env, Descriptor* data) { delete data; });
  // Not made where the environment is being torn down (worker.terminate()).
  if (external.IsEmpty()) return external;
  owned.release();
  return Result(info.Env()).value("borrowed", external).object();
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

// readOptionsOf(pid, fds: Int32Array, cookies: BigUint64Array, values: Float64Array, errors:
// Int32Array, calls: Int32Array): a row of values a socket, NaN for what it does not have; an
// error, 0 or -errno; and the call that failed, as borrow() has it
Napi::Value read_options_of_process(const Napi::CallbackInfo& info) {
  int pid;
  int* fds;
  uint64_t* cookies;
  double* values;
  int* errors;
  int* calls;
  size_t count, cookie_count, value_count, error_count, call_count;
  if (!read_descriptor(info, 0, &pid) || !read_array(info, 1, napi_int32_array, &fds, &count) ||
      !read_array(info, 2, napi_biguint64_array, &cookies, &cookie_count) ||
      !read_array(info, 3, napi_float64_array, &values, &value_count) ||
      !read_array(info, 4, napi_int32_array, &errors, &error_count) ||
      !read_array(info, 5, napi_int32_array, &calls, &call_count) || cookie_count != count ||
      value_count != count * kOptionCount || error_count != count || call_count != count) {
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
    errors[i] = error;
    calls[i] = static_cast<int>(refused);
    put_values(settings, kOptionCount, values + i * kOptionCount);
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
