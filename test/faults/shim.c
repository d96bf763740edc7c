// Preloaded into Node. It fails the Nth system call of the addon, or its Nth allocation, and lets
// all others pass. Or it blocks the Nth system call until it is released.
//
// The test and the shim map the same file: it says what to do, and what was done (fault.mjs has the
// other end). A call belongs to the addon if its return address does. close() does its work and
// then fails, as on Linux. eventfd_write() is left alone, because it cannot fail as used here.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kFail, kHold, kNoMemory };

struct control {
  atomic_int what;    // one of the above
  atomic_int wanted;  // the call that must fail, from 1; 0: none
  atomic_int error;   // its errno
  atomic_int calls;   // calls since it was armed
  atomic_int fired;   // calls that have failed
  char name[48];      // name of the call that failed
};

static struct control* control;

__attribute__((constructor)) static void map_control(void) {
  const char* path = getenv("DEADPEER_FAULTS");
  if (path == NULL) return;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) abort();
  void* mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) abort();
  control = mapped;
  (close)(fd);
}

static int is_addon(const void* caller) {
  Dl_info info;
  return dladdr(caller, &info) != 0 && info.dli_fname != NULL &&
         strstr(info.dli_fname, "deadpeer.node") != NULL;
}

static int is_its_turn(const void* caller, const char* name) {
  if (!is_addon(caller)) return 0;
  const int call = atomic_fetch_add(&control->calls, 1) + 1;
  if (call != atomic_load(&control->wanted)) return 0;
  snprintf(control->name, sizeof(control->name), "%s", name);
  atomic_fetch_add(&control->fired, 1);
  return 1;
}

// The errno that this call must fail with, or 0.
static int fault(const void* caller, const char* name) {
  if (control == NULL || atomic_load(&control->wanted) == 0) return 0;
  const int what = atomic_load(&control->what);
  if (what == kNoMemory || !is_its_turn(caller, name)) return 0;
  if (what == kFail) return atomic_load(&control->error);
  while (atomic_load(&control->wanted) != 0) usleep(500);
  return 0;
}

static int is_to_lack_memory(const void* caller, const char* name) {
  return control != NULL && atomic_load(&control->wanted) != 0 &&
         atomic_load(&control->what) == kNoMemory && is_its_turn(caller, name);
}

// The C library's own function of that name.
#define REAL(name) ((__typeof__(&name))real(#name))
static void* real(const char* name) {
  return dlsym(RTLD_NEXT, name);
}

#define FAIL_IF_WANTED(name)                                    \
  do {                                                          \
    const int error = fault(__builtin_return_address(0), name); \
    if (error != 0) {                                           \
      errno = error;                                            \
      return -1;                                                \
    }                                                           \
  } while (0)

int socket(int family, int type, int protocol) {
  FAIL_IF_WANTED("socket");
  return REAL(socket)(family, type, protocol);
}

int bind(int fd, const struct sockaddr* address, socklen_t length) {
  FAIL_IF_WANTED("bind");
  return REAL(bind)(fd, address, length);
}

int getsockname(int fd, struct sockaddr* address, socklen_t* length) {
  FAIL_IF_WANTED("getsockname");
  return REAL(getsockname)(fd, address, length);
}

int getpeername(int fd, struct sockaddr* address, socklen_t* length) {
  FAIL_IF_WANTED("getpeername");
  return REAL(getpeername)(fd, address, length);
}

int getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
  FAIL_IF_WANTED("getsockopt");
  return REAL(getsockopt)(fd, level, name, value, length);
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  FAIL_IF_WANTED("setsockopt");
  return REAL(setsockopt)(fd, level, name, value, length);
}

ssize_t send(int fd, const void* bytes, size_t length, int flags) {
  FAIL_IF_WANTED("send");
  return REAL(send)(fd, bytes, length, flags);
}

ssize_t sendto(int fd, const void* bytes, size_t length, int flags, const struct sockaddr* to,
               socklen_t to_length) {
  FAIL_IF_WANTED("sendto");
  return REAL(sendto)(fd, bytes, length, flags, to, to_length);
}

ssize_t recvfrom(int fd, void* bytes, size_t length, int flags, struct sockaddr* from,
                 socklen_t* from_length) {
  FAIL_IF_WANTED("recvfrom");
  return REAL(recvfrom)(fd, bytes, length, flags, from, from_length);
}

int epoll_create1(int flags) {
  FAIL_IF_WANTED("epoll_create1");
  return REAL(epoll_create1)(flags);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event* event) {
  FAIL_IF_WANTED("epoll_ctl");
  return REAL(epoll_ctl)(epoll, operation, fd, event);
}

int epoll_wait(int epoll, struct epoll_event* events, int most, int timeout) {
  FAIL_IF_WANTED("epoll_wait");
  return REAL(epoll_wait)(epoll, events, most, timeout);
}

int eventfd(unsigned int value, int flags) {
  FAIL_IF_WANTED("eventfd");
  return REAL(eventfd)(value, flags);
}

int ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  FAIL_IF_WANTED("ioctl");
  return REAL(ioctl)(fd, request, argument);
}

// pidfd_open, pidfd_getfd.
long syscall(long number, ...) {
  va_list arguments;
  va_start(arguments, number);
  long all[6];
  for (int i = 0; i < 6; i++) all[i] = va_arg(arguments, long);
  va_end(arguments);
  char name[24];
  snprintf(name, sizeof(name), "syscall %ld", number);
  FAIL_IF_WANTED(name);
  return REAL(syscall)(number, all[0], all[1], all[2], all[3], all[4], all[5]);
}

int close(int fd) {
  const int error = fault(__builtin_return_address(0), "close");
  const int result = REAL(close)(fd);
  if (error == 0) return result;
  errno = error;
  return -1;
}

// Returns its error number.
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                   void* argument) {
  const int error = fault(__builtin_return_address(0), "pthread_create");
  return error != 0 ? error : REAL(pthread_create)(thread, attributes, run, argument);
}

void* __libc_malloc(size_t size);
void* __libc_realloc(void* memory, size_t size);

// operator new allocates inside the C++ library.
static _Thread_local int is_new_to_fail;

void* malloc(size_t size) {
  if (is_new_to_fail || is_to_lack_memory(__builtin_return_address(0), "malloc")) {
    errno = ENOMEM;
    return NULL;
  }
  return __libc_malloc(size);
}

void* realloc(void* memory, size_t size) {
  if (is_to_lack_memory(__builtin_return_address(0), "realloc")) {
    errno = ENOMEM;
    return NULL;
  }
  return __libc_realloc(memory, size);
}

// operator new(size_t), which throws if there is no memory.
void* _Znwm(size_t size) {
  void* (*take)(size_t) = real("_Znwm");
  is_new_to_fail = is_to_lack_memory(__builtin_return_address(0), "operator new");
  void* memory = take(size);
  is_new_to_fail = 0;
  return memory;
}
