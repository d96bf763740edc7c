#include "process.h"

#include <endian.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "check.h"
#include "core/descriptor.h"

namespace deadpeer {

namespace {

// The offset of the low half of a system call's argument. An int argument fills only that half.
constexpr uint32_t argument(size_t index) {
  return static_cast<uint32_t>(offsetof(seccomp_data, args) + index * sizeof(uint64_t) +
                               (__BYTE_ORDER == __BIG_ENDIAN ? sizeof(uint32_t) : 0));
}

void install(sock_filter* rules, size_t count) {
  const sock_fprog program = {static_cast<uint16_t>(count), rules};
  CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    SKIP("no seccomp here: %s", strerror(errno));
  }
}

}  // namespace

void forbid_setting(int level, int name) {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument(1)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(level), 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument(2)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(name), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  install(rules, sizeof(rules) / sizeof(rules[0]));
}

void forbid_call(int number, int error) {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  install(rules, sizeof(rules) / sizeof(rules[0]));
}

void enter_own_network() {
  // An unprivileged process gets the privileges over that network from a user namespace.
  if (unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) return;
  SKIP_UNPRIVILEGED("no network of one's own here: %s", strerror(errno));
}

void enter_own_loopback() {
  enter_own_network();
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  snprintf(request.ifr_name, sizeof(request.ifr_name), "lo");
  CHECK_EQ(ioctl(socket.get(), SIOCGIFFLAGS, &request), 0);
  request.ifr_flags |= IFF_UP;
  CHECK_EQ(ioctl(socket.get(), SIOCSIFFLAGS, &request), 0);
}

void set_default(const char* name, int value) {
  char path[100];
  snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
  FILE* file = fopen(path, "w");
  if (file == nullptr) SKIP_UNPRIVILEGED("%s cannot be written: %s", path, strerror(errno));
  fprintf(file, "%d\n", value);
  if (fclose(file) != 0) FAIL("%d into %s: %s", value, path, strerror(errno));
}

void allow_more_descriptors(bool allow) {
  rlimit limit;
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = allow ? limit.rlim_max : 0;
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

void give_up_privileges() {
  // Drops the capabilities, not the user: a user namespace may have no other user.
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  CHECK_EQ(syscall(SYS_capset, &header, none), 0);
}

}  // namespace deadpeer
