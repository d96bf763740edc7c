#include <cstring>

#include "binding/binding.h"
#include "core/addresses.h"

namespace deadpeer {

namespace {

// readAddresses(fd, bytes: Uint8Array): 0 or -errno. The bytes become an Addresses.
Napi::Value read_addresses_into(const Napi::CallbackInfo& info) {
  int fd;
  uint8_t* bytes;
  size_t length;
  Addresses addresses;
  static_assert(sizeof(addresses) == 2 * (2 + 2 + 16 + 16));
  if (!read_descriptor(info, 0, &fd) || !read_array(info, 1, napi_uint8_array, &bytes, &length) ||
      length != sizeof(addresses)) {
    return bad_call(info.Env());
  }
  const int error = read_addresses(fd, &addresses);
  if (error == 0) memcpy(bytes, &addresses, sizeof(addresses));
  return Napi::Number::New(info.Env(), error);
}

}  // namespace

void bind_addresses(Napi::Env env, Napi::Object exports) {
  bind<read_addresses_into>(env, exports, "readAddresses");
}

}  // namespace deadpeer
