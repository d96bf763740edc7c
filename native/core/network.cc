#include "core/network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdio>

#include "core/descriptor.h"
#include "core/thread.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71  // Linux 5.14
#endif

namespace deadpeer {

namespace {

struct Reading {
  int network;
  Sysctl* sysctls;
  size_t count;
  int error;
};

void read_one(Sysctl* sysctl) {
  char path[96];
  snprintf(path, sizeof(path), "/proc/sys/net/%s", sysctl->name.data());
  const Descriptor file(open(path, O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return;
  const ssize_t length = read(file.get(), sysctl->text.data(), sysctl->text.size());
  sysctl->length = length < 0 ? 0 : static_cast<size_t>(length);
}

void* enter_and_read(void* argument) {
  auto* reading = static_cast<Reading*>(argument);
  if (setns(reading->network, CLONE_NEWNET) != 0) {
    reading->error = -errno;
    return nullptr;
  }
  for (size_t i = 0; i < reading->count; i++) read_one(&reading->sysctls[i]);
  return nullptr;
}

}  // namespace

int read_network_cookie(int fd, uint64_t* cookie) {
  socklen_t length = sizeof(*cookie);
  return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &length) == 0 ? 0 : -errno;
}

int read_own_network_cookie(uint64_t* cookie) {
  const Descriptor here(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
  return here.get() < 0 ? -errno : read_network_cookie(here.get(), cookie);
}

int read_sysctls_of(int fd, Sysctl* sysctls, size_t count) {
  // The kernel sets close-on-exec by itself.
  const Descriptor network(ioctl(fd, SIOCGSKNS));
  if (network.get() < 0) return -errno;
  Reading reading = {network.get(), sysctls, count, 0};
  pthread_t thread;
  if (int error = start_thread(&thread, enter_and_read, &reading)) return error;
  pthread_join(thread, nullptr);
  return reading.error;
}

}  // namespace deadpeer
