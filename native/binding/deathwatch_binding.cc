#include <errno.h>

#include <cstring>

#include "binding/binding.h"
#include "core/deathwatch.h"

namespace deadpeer {

namespace {

// The deathwatch of one environment, and the function that wakes the environment's thread. Made at
// first use; lives until the environment ends.
class Watch {
 public:
  // Empty if it cannot be made.
  static Napi::Value open(napi_env env, napi_value callback) {
    auto* watch = new Watch;
    napi_value external;
    if (watch->start(env, callback) &&
        napi_create_external(env, watch, free, nullptr, &external) == napi_ok) {
      return Napi::Value(env, external);
    }
    free(env, watch, nullptr);
    return Napi::Value();
  }

  Deathwatch& deathwatch() { return deathwatch_; }

 private:
  Watch() : deathwatch_(wake, this) {}

  bool start(napi_env env, napi_value callback) {
    napi_value name;
    if (napi_create_string_utf8(env, "deadpeer.watch", NAPI_AUTO_LENGTH, &name) != napi_ok ||
        napi_create_threadsafe_function(env, callback, nullptr, name, 0, 1, nullptr, nullptr, this,
                                        deliver, &to_javascript_) != napi_ok) {
      return false;
    }
    // Hooks run in reverse order: the thread ends before the function that it calls is released.
    is_open_ = napi_add_env_cleanup_hook(env, close, this) == napi_ok;
    return is_open_ && napi_unref_threadsafe_function(env, to_javascript_) == napi_ok;
  }

  static void free(napi_env env, void* data, void*) {
    auto* watch = static_cast<Watch*>(data);
    if (watch->is_open_) napi_remove_env_cleanup_hook(env, close, watch);
    close(watch);
    delete watch;
  }

  static void close(void* data) {
    auto* watch = static_cast<Watch*>(data);
    watch->is_open_ = false;
    watch->deathwatch_.close();
    if (watch->to_javascript_ == nullptr) return;
    napi_release_threadsafe_function(watch->to_javascript_, napi_tsfn_abort);
    watch->to_javascript_ = nullptr;
  }

  // Runs on the deathwatch's thread. Fails only while the environment ends.
  static void wake(void* data) {
    napi_call_threadsafe_function(static_cast<Watch*>(data)->to_javascript_, nullptr,
                                  napi_tsfn_nonblocking);
  }

  static void deliver(napi_env env, napi_value callback, void* context, void*) {
    if (env == nullptr) return;
    auto* watch = static_cast<Watch*>(context);
    for (const KernelEvent& event : watch->deathwatch_.take()) {
      // The callback itself throws nothing. This loop ends early only if the worker is terminated.
      if (!call(env, callback, event)) return;
    }
  }

  static bool call(napi_env env, napi_value callback, const KernelEvent& event) {
    const Napi::HandleScope scope(env);
    const size_t length = static_cast<size_t>(event.length);
    void* bytes;
    napi_value undefined, buffer;
    napi_value arguments[4];
    if (napi_create_arraybuffer(env, length, &bytes, &buffer) != napi_ok) return false;
    memcpy(bytes, event.info.data(), length);
    return napi_create_double(env, static_cast<double>(event.id), &arguments[0]) == napi_ok &&
           napi_create_uint32(env, event.events, &arguments[1]) == napi_ok &&
           napi_create_int32(env, event.unread, &arguments[2]) == napi_ok &&
           napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &arguments[3]) ==
               napi_ok &&
           napi_get_undefined(env, &undefined) == napi_ok &&
           napi_call_function(env, undefined, callback, 4, arguments, nullptr) == napi_ok;
  }

  Deathwatch deathwatch_;
  napi_threadsafe_function to_javascript_ = nullptr;
  bool is_open_ = false;
};

// openDeathwatch(callback): an external. The callback gets an id, the events of epoll_ctl(2), the
// number of unread bytes, and a tcp_info.
Napi::Value open_deathwatch(Napi::Env env, Napi::Function callback) {
  const Napi::Value external = Watch::open(env, callback);
  return external.IsEmpty() ? failure(env, -ENOMEM) : external;
}

// watchDescriptor(external, fd): id
Napi::Value watch_descriptor(Napi::Env env, Watch* watch, int fd) {
  uint64_t id;
  if (int error = watch->deathwatch().add(fd, &id)) return failure(env, error);
  return Napi::Number::New(env, static_cast<double>(id));
}

// unwatch(external, id)
Napi::Value unwatch(Napi::Env env, Watch* watch, double id) {
  if (!(id >= 1)) return bad_call(env);
  watch->deathwatch().remove(static_cast<uint64_t>(id));
  return env.Undefined();
}

}  // namespace

void bind_deathwatch(Napi::Env env, Napi::Object exports) {
  bind<open_deathwatch>(env, exports, "openDeathwatch");
  bind<watch_descriptor>(env, exports, "watchDescriptor");
  bind<unwatch>(env, exports, "unwatch");
}

}  // namespace deadpeer
