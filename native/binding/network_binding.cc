#include <array>

#include "binding/binding.h"
#include "core/network.h"

namespace deadpeer {

namespace {

constexpr uint32_t kMostSysctls = 32;

Napi::Value cookie_or_error(Napi::Env env, int error, uint64_t cookie) {
  if (error != 0) return Napi::Number::New(env, error);
  return Napi::BigInt::New(env, cookie);
}

// readNetworkCookie(fd): bigint, or -errno
Napi::Value read_cookie_of_network(const Napi::CallbackInfo& info) {
  int fd;
  if (!read_descriptor(info, 0, &fd)) return bad_call(info.Env());
  uint64_t cookie = 0;
  const int error = read_network_cookie(fd, &cookie);
  return cookie_or_error(info.Env(), error, cookie);
}

// readOwnNetworkCookie(): bigint, or -errno
Napi::Value read_cookie_of_own_network(const Napi::CallbackInfo& info) {
  uint64_t cookie = 0;
  const int error = read_own_network_cookie(&cookie);
  return cookie_or_error(info.Env(), error, cookie);
}

// readSysctlsOf(fd, names: string[]): a text each, empty where it cannot be read; or -errno
Napi::Value read_sysctls_of_socket(const Napi::CallbackInfo& info) {
  int fd;
  if (!read_descriptor(info, 0, &fd) || !info[1].IsArray()) return bad_call(info.Env());
  const Napi::Array names = info[1].As<Napi::Array>();
  const uint32_t count = names.Length();
  if (count > kMostSysctls) return bad_call(info.Env());
  std::array<Sysctl, kMostSysctls> sysctls;
  for (uint32_t i = 0; i < count; i++) {
    const Napi::Value name = names[i];
    if (napi_get_value_string_utf8(info.Env(), name, sysctls[i].name.data(), sysctls[i].name.size(),
                                   nullptr) != napi_ok) {
      return bad_call(info.Env());
    }
  }
  if (int error = read_sysctls_of(fd, sysctls.data(), count)) {
    return Napi::Number::New(info.Env(), error);
  }
  Napi::Array texts = Napi::Array::New(info.Env(), count);
  for (uint32_t i = 0; i < count; i++) {
    texts.Set(i, Napi::String::New(info.Env(), sysctls[i].text.data(), sysctls[i].length));
  }
  return texts;
}

}  // namespace

void bind_network(Napi::Env env, Napi::Object exports) {
  bind<read_cookie_of_network>(env, exports, "readNetworkCookie");
  bind<read_cookie_of_own_network>(env, exports, "readOwnNetworkCookie");
  bind<read_sysctls_of_socket>(env, exports, "readSysctlsOf");
}

}  // namespace deadpeer
