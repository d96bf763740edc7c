#include <errno.h>
#include <sys/epoll.h>

#include <cstring>

#include "binding/binding.h"
#include "core/deathwatch.h"

namespace deadpeer {

namespace {

// The deathwatch of one environment, and its way to that environment's thread. Made at first use,
// and there until the environment ends.
class Watch {
 public:
  // Empty where it cannot be made.
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
    // Hooks run in the opposite order: the thread ends before what it calls does.
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

  // On the deathwatch's thread. Fails only where the environment ends.
  static void wake(void* data) {
    napi_call_threadsafe_function(static_cast<Watch*>(data)->to_javascript_, nullptr,
                                  napi_tsfn_nonblocking);
  }

  static void deliver(napi_env env, napi_value callback, void* context, void*) {
    if (env == nullptr) return;
    auto* watch = static_cast<Watch*>(context);
    for (const Sighting& sighting : watch->deathwatch_.take()) {
      // The callback throws nothing of its own: only a worker that is terminated ends this.
      if (!call(env, callback, sighting)) return;
    }
  }

  static bool call(napi_env env, napi_value callback, const Sighting& sighting) {
    const Napi::HandleScope scope(env);
    const size_t length = static_cast<size_t>(sighting.length);
    void* bytes;
    napi_value undefined, buffer;
    napi_value arguments[5];
    if (napi_create_arraybuffer(env, length, &bytes, &buffer) != napi_ok) return false;
    memcpy(bytes, sighting.info.data(), length);
    const auto id = static_cast<double>(sighting.id);
    const bool peer_closed = (sighting.events & EPOLLRDHUP) != 0;
    const bool failed = (sighting.events & EPOLLERR) != 0;
    return napi_create_double(env, id, &arguments[0]) == napi_ok &&
           napi_get_boolean(env, peer_closed, &arguments[1]) == napi_ok &&
           napi_get_boolean(env, failed, &arguments[2]) == napi_ok &&
           napi_create_int32(env, sighting.unread, &arguments[3]) == napi_ok &&
           napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &arguments[4]) ==
               napi_ok &&
           napi_get_undefined(env, &undefined) == napi_ok &&
           napi_call_function(env, undefined, callback, 5, arguments, nullptr) == napi_ok;
  }

  Deathwatch deathwatch_;
  napi_threadsafe_function to_javascript_ = nullptr;
  bool is_open_ = false;
};

Watch* watch_of(const Napi::CallbackInfo& info) {
  void* data = nullptr;
  const napi_status status = napi_get_value_external(info.Env(), info[0], &data);
  return status == napi_ok ? static_cast<Watch*>(data) : nullptr;
}

bool read_id(const Napi::CallbackInfo& info, uint64_t* id) {
  int64_t value;
  if (napi_get_value_int64(info.Env(), info[1], &value) != napi_ok || value < 1) return false;
  *id = static_cast<uint64_t>(value);
  return true;
}

// openDeathwatch(callback): external, or -errno. The callback gets an id, whether the peer has
// closed its side (which holds for the dead as well), whether there is an error, how many bytes are
// unread, and a tcp_info.
Napi::Value open_deathwatch(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) return bad_call(info.Env());
  const Napi::Value external = Watch::open(info.Env(), info[0]);
  return external.IsEmpty() ? Napi::Number::New(info.Env(), -ENOMEM) : external;
}

// watchDescriptor(external, fd): id, or { errno }
Napi::Value watch_descriptor(const Napi::CallbackInfo& info) {
  Watch* watch = watch_of(info);
  int fd;
  if (watch == nullptr || !read_descriptor(info, 1, &fd)) return bad_call(info.Env());
  uint64_t id;
  const int error = watch->deathwatch().add(fd, &id);
  return error != 0 ? failure(info.Env(), error)
                    : Napi::Number::New(info.Env(), static_cast<double>(id));
}

// unwatch(external, id)
Napi::Value unwatch(const Napi::CallbackInfo& info) {
  Watch* watch = watch_of(info);
  uint64_t id;
  if (watch == nullptr || !read_id(info, &id)) return bad_call(info.Env());
  watch->deathwatch().remove(id);
  return info.Env().Undefined();
}

}  // namespace

void bind_deathwatch(Napi::Env env, Napi::Object exports) {
  bind<open_deathwatch>(env, exports, "openDeathwatch");
  bind<watch_descriptor>(env, exports, "watchDescriptor");
  bind<unwatch>(env, exports, "unwatch");
}

}  // namespace deadpeer
