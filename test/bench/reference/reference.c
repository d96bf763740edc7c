// What the kernel alone costs: the same system calls as the library's, in a plain loop. It is an
// addon and no program of its own so that both work on the same sockets in the same process:
// looking up a descriptor costs more in a process with threads.

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <node_api.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

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

// How many system calls failed.
static int write_options(int fd, const int* values) {
  int failed = 0;
  for (int o = 0; o < kOptionCount; o++) {
    failed += setsockopt(fd, kOptions[o].level, kOptions[o].name, &values[o], sizeof(int)) != 0;
  }
  return failed;
}

// setOptions(fds, values): how many system calls failed
static napi_value set_options(napi_env env, napi_callback_info info) {
  struct Arguments a;
  if (!read_arguments(env, info, &a)) return NULL;
  int failed = 0;
  for (size_t i = 0; i < a.count; i++) failed += write_options(a.fds[i], a.values);
  return number(env, failed);
}

// setOptionsKnowingSilence(fds, values): the same after getsockopt(TCP_INFO), which tells how long
// the peer has been silent. Code that must not end a silent connection by tuning it reads that
// first.
static napi_value set_options_knowing_silence(napi_env env, napi_callback_info info) {
  struct Arguments a;
  if (!read_arguments(env, info, &a)) return NULL;
  int failed = 0;
  for (size_t i = 0; i < a.count; i++) {
    struct tcp_info tcp_info;
    socklen_t length = sizeof(tcp_info);
    failed += getsockopt(a.fds[i], IPPROTO_TCP, TCP_INFO, &tcp_info, &length) != 0;
    failed += write_options(a.fds[i], a.values);
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

// Every TCP socket of a family with its tcp_info, counted and nothing more. -1: refused.
static int dump_family(int fd, unsigned char family) {
  struct {
    struct nlmsghdr header;
    struct inet_diag_req_v2 body;
  } request = {
      {sizeof(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
      {.sdiag_family = family,
       .sdiag_protocol = IPPROTO_TCP,
       .idiag_ext = 1 << (INET_DIAG_INFO - 1),
       .idiag_states = 0xf7e},
  };
  if (send(fd, &request, sizeof(request), 0) < 0) return -1;
  static _Alignas(struct nlmsghdr) char bytes[64 * 1024];
  int count = 0;
  for (;;) {
    const ssize_t received = recv(fd, bytes, sizeof(bytes), 0);
    if (received <= 0) return -1;
    unsigned length = (unsigned)received;
    for (struct nlmsghdr* message = (struct nlmsghdr*)bytes; NLMSG_OK(message, length);
         message = NLMSG_NEXT(message, length)) {
      if (message->nlmsg_type == NLMSG_DONE) return count;
      if (message->nlmsg_type == NLMSG_ERROR) return -1;
      count++;
    }
  }
}

// dumpSockets(): how many sockets there are
static napi_value dump_sockets(napi_env env, napi_callback_info info) {
  (void)info;
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  const int v4 = dump_family(fd, AF_INET);
  const int v6 = dump_family(fd, AF_INET6);
  close(fd);
  return number(env, v4 < 0 || v6 < 0 ? -1 : v4 + v6);
}

// cpuOfChildren(): µs that children which have ended took
static napi_value cpu_of_children(napi_env env, napi_callback_info info) {
  (void)info;
  struct rusage usage;
  getrusage(RUSAGE_CHILDREN, &usage);
  napi_value result;
  napi_create_double(env,
                     1e6 * (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec),
                     &result);
  return result;
}

static bool descriptors(napi_env env, napi_callback_info info, const int** fds, size_t* count) {
  size_t argc = 1;
  napi_value argv[1];
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok && argc == 1 &&
      int32_array(env, argv[0], fds, count)) {
    return true;
  }
  napi_throw_type_error(env, NULL, "an Int32Array of descriptors is needed");
  return false;
}

static napi_value real(napi_env env, double value) {
  napi_value result;
  napi_create_double(env, value, &result);
  return result;
}

static int watch(int epoll, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

// watchAndUnwatch(fds): how many could not be put into an epoll set and taken out again
static napi_value watch_and_unwatch(napi_env env, napi_callback_info info) {
  const int* fds;
  size_t count;
  if (!descriptors(env, info, &fds, &count)) return NULL;
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  int failed = 0;
  for (size_t i = 0; i < count; i++) {
    failed += watch(epoll, fds[i], EPOLLRDHUP | EPOLLET, i) != 0 ||
              epoll_ctl(epoll, EPOLL_CTL_DEL, fds[i], NULL) != 0;
  }
  close(epoll);
  return number(env, failed);
}

// The bare minimum of a deathwatch: one at a time, and never in a hurry to end.
static struct {
  pthread_t thread;
  int epoll;
  int stop;
  double* woken_at;
} witness;

static void* look(void* unused) {
  (void)unused;
  for (;;) {
    struct epoll_event event;
    if (epoll_wait(witness.epoll, &event, 1, -1) < 1) continue;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (event.data.u64 == UINT64_MAX) return NULL;
    witness.woken_at[event.data.u64] = 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
  }
}

// startWitness(fds): wakes for each that ends, on a thread of its own
static napi_value start_witness(napi_env env, napi_callback_info info) {
  const int* fds;
  size_t count;
  if (!descriptors(env, info, &fds, &count)) return NULL;
  witness.woken_at = calloc(count, sizeof(double));
  witness.epoll = epoll_create1(EPOLL_CLOEXEC);
  witness.stop = eventfd(0, EFD_CLOEXEC);
  watch(witness.epoll, witness.stop, EPOLLIN, UINT64_MAX);
  int failed = 0;
  for (size_t i = 0; i < count; i++) {
    failed += watch(witness.epoll, fds[i], EPOLLRDHUP | EPOLLET, i) != 0;
  }
  failed += pthread_create(&witness.thread, NULL, look, NULL) != 0;
  return number(env, failed);
}

// stopWitness()
static napi_value stop_witness(napi_env env, napi_callback_info info) {
  (void)info;
  eventfd_write(witness.stop, 1);
  pthread_join(witness.thread, NULL);
  return number(env, 0);
}

// wokenAt(index): ms of process.hrtime(), once the witness has ended; 0: not at all
static napi_value woken_at(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  uint32_t index;
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  if (napi_get_value_uint32(env, argv[0], &index) != napi_ok) return NULL;
  return real(env, witness.woken_at[index]);
}

// allocated(): bytes that malloc has handed out and not had back
static napi_value allocated(napi_env env, napi_callback_info info) {
  (void)info;
  const struct mallinfo2 memory = mallinfo2();
  return real(env, (double)(memory.uordblks + memory.hblkhd));
}

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      {"setOptions", NULL, set_options, NULL, NULL, NULL, napi_enumerable, NULL},
      {"setOptionsKnowingSilence", NULL, set_options_knowing_silence, NULL, NULL, NULL,
       napi_enumerable, NULL},
      {"countWith", NULL, count_with, NULL, NULL, NULL, napi_enumerable, NULL},
      {"readTcpInfo", NULL, read_tcp_info, NULL, NULL, NULL, napi_enumerable, NULL},
      {"dumpSockets", NULL, dump_sockets, NULL, NULL, NULL, napi_enumerable, NULL},
      {"watchAndUnwatch", NULL, watch_and_unwatch, NULL, NULL, NULL, napi_enumerable, NULL},
      {"startWitness", NULL, start_witness, NULL, NULL, NULL, napi_enumerable, NULL},
      {"stopWitness", NULL, stop_witness, NULL, NULL, NULL, napi_enumerable, NULL},
      {"wokenAt", NULL, woken_at, NULL, NULL, NULL, napi_enumerable, NULL},
      {"allocated", NULL, allocated, NULL, NULL, NULL, napi_enumerable, NULL},
      {"cpuOfChildren", NULL, cpu_of_children, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof(functions) / sizeof(functions[0]), functions);
  return exports;
}
