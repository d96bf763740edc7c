#include <memory>

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

}  // namespace

void bind_borrow(Napi::Env env, Napi::Object exports) {
  bind<borrow_from>(env, exports, "borrow");
  bind<borrowed_number>(env, exports, "borrowedNumber");
  bind<give_back>(env, exports, "giveBack");
}

}  // namespace deadpeer
