#include <memory>
#include <vector>

#include "binding/binding.h"
#include "core/borrow.h"
#include "core/exec.h"

namespace deadpeer {

namespace {

// borrow(pid, fd): an external
Napi::Value borrow_from(Napi::Env env, int pid, int fd) {
  auto owned = std::make_unique<Descriptor>(-1);
  const Failure failed = borrow(pid, fd, owned.get());
  if (failed.error != 0) return failure(env, failed);
  return hold(env, std::move(owned));
}

// borrowedNumber(external): the descriptor's number in this process, -1 after giveBack()
Napi::Value borrowed_number(Napi::Env env, Descriptor* borrowed) {
  return Napi::Number::New(env, borrowed->get());
}

// giveBack(external)
Napi::Value give_back(Napi::Env env, Descriptor* borrowed) {
  borrowed->reset();
  return env.Undefined();
}

// readOptionsOf(pid, fds, cookies, values): one row of values for each socket, NaN for options that
// it does not have. Returns { index, errno, syscall } for each that failed, or undefined.
Napi::Value read_options_of_process(Napi::Env env, int pid, Array<int32_t> fds,
                                    Array<uint64_t> cookies, Array<double> values) {
  if (cookies.length != fds.length || values.length != fds.length * kOptionCount) {
    return bad_call(env);
  }
  std::vector<OwnersOptions> sockets(fds.length);
  for (size_t i = 0; i < fds.length; i++) {
    sockets[i].fd = fds.data[i];
    sockets[i].cookie = cookies.data[i];
  }
  read_options_of(pid, sockets.data(), fds.length);
  napi_value failures = nullptr;
  uint32_t failure_count = 0;
  for (size_t i = 0; i < fds.length; i++) {
    put_values(sockets[i].settings, kOptionCount, values.data + i * kOptionCount);
    const auto [error, syscall] = sockets[i].failure;
    if (error == 0) continue;
    if (failures == nullptr && napi_create_array(env, &failures) != napi_ok) break;
    Result result(env);
    result.number("index", static_cast<double>(i)).number("errno", error);
    result.value("syscall", Napi::String::New(env, syscall));
    napi_set_element(env, failures, failure_count++, result.object());
  }
  if (failures == nullptr) return env.Undefined();
  return Napi::Value(env, failures);
}

// exec(arguments, lastDescriptor). Does not return if it succeeds.
Napi::Value exec_at(Napi::Env env, Array<uint8_t> arguments, int last_descriptor) {
  auto* text = reinterpret_cast<char*>(arguments.data);
  return failure(env, exec_program(text, arguments.length, last_descriptor));
}

}  // namespace

void bind_process(Napi::Env env, Napi::Object exports) {
  bind<borrow_from>(env, exports, "borrow");
  bind<borrowed_number>(env, exports, "borrowedNumber");
  bind<give_back>(env, exports, "giveBack");
  bind<read_options_of_process>(env, exports, "readOptionsOf");
  bind<exec_at>(env, exports, "exec");
}

}  // namespace deadpeer
