// What the kernel alone costs: the same system calls as the library's, in a plain loop. It is an
// addon and no program of its own so that both work on the same sockets in the same process:
// looking up a descriptor costs more in a process with threads.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <node_api.h>
#include <stdbool.h>
#include <sys/socket.h>

enum { kOptionCount = 5 };

// In the order of writing. TCP_KEEPIDLE starts the timer, so it comes last.
static const struct {
  int level;
  int name;
} kOptions[kOptionCount] = {
    {SOL_SOCKET, SO_KEEPALIVE},      {IPPROTO_TCP, TCP_KEEPINTVL}, {IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_TCP, TCP_USER_TIMEOUT}, {IPPROTO_TCP, TCP_KEEPIDLE},
};

struct Arguments {
  const int* fds;
  size_t count;
  const int* values;  // kOptionCount, in the kernel's units
};

static bool int32_array(napi_env env, napi_value value, const int** data, size_t* length) {
  napi_typedarray_type type;
  void* bytes;
  if (napi_get_typedarray_info(env, value, &type, length, &bytes, NULL, NULL) != napi_ok) {
    return false;
  }
  *data = bytes;
  return type == napi_int32_array;
}

static bool read_arguments(napi_env env, napi_callback_info info, struct Arguments* arguments) {
  size_t argc = 2;
  size_t values = 0;
  napi_value argv[2];
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok && argc == 2 &&
      int32_array(env, argv[0], &arguments->fds, &arguments->count) &&
      int32_array(env, argv[1], &arguments->values, &values) && values == kOptionCount) {
    return true;
  }
  napi_throw_type_error(env, NULL, "two Int32Arrays are needed: descriptors, and five values");
  return false;
}

static napi_value number(napi_env env, int value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

// setOptions(fds, values): how many system calls failed
static napi_value set_options(napi_env env, napi_callback_info info) {
  struct Arguments a;
  if (!read_arguments(env, info, &a)) return NULL;
  int failed = 0;
  for (size_t i = 0; i < a.count; i++) {
    for (int o = 0; o < kOptionCount; o++) {
      if (setsockopt(a.fds[i], kOptions[o].level, kOptions[o].name, &a.values[o], sizeof(int))) {
        failed++;
      }
    }
  }
  return number(env, failed);
}

// countWith(fds, values): how many sockets have exactly these values
static napi_value count_with(napi_env env, napi_callback_info info) {
  struct Arguments a;
  if (!read_arguments(env, info, &a)) return NULL;
  int count = 0;
  for (size_t i = 0; i < a.count; i++) {
    bool same = true;
    for (int o = 0; o < kOptionCount; o++) {
      int value;
      socklen_t length = sizeof(value);
      same = same && !getsockopt(a.fds[i], kOptions[o].level, kOptions[o].name, &value, &length) &&
             value == a.values[o];
    }
    count += same;
  }
  return number(env, count);
}

// readTcpInfo(fds): how many of them are established
static napi_value read_tcp_info(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  const int* fds;
  size_t count;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 1 ||
      !int32_array(env, argv[0], &fds, &count)) {
    napi_throw_type_error(env, NULL, "an Int32Array of descriptors is needed");
    return NULL;
  }
  int established = 0;
  for (size_t i = 0; i < count; i++) {
    struct tcp_info tcp_info;
    socklen_t length = sizeof(tcp_info);
    established += !getsockopt(fds[i], IPPROTO_TCP, TCP_INFO, &tcp_info, &length) &&
                   tcp_info.tcpi_state == TCP_ESTABLISHED;
  }
  return number(env, established);
}

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      {"setOptions", NULL, set_options, NULL, NULL, NULL, napi_enumerable, NULL},
      {"countWith", NULL, count_with, NULL, NULL, NULL, napi_enumerable, NULL},
      {"readTcpInfo", NULL, read_tcp_info, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof(functions) / sizeof(functions[0]), functions);
  return exports;
}
