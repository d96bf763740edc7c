#include "core/network_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cstdio>

#include "core/descriptor.h"
#include "core/thread.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71  // Linux 5.14
#endif

namespace deadpeer {

namespace {

int open_namespace(const char* path, Descriptor* descriptor) {
  descriptor->reset(open(path, O_RDONLY | O_CLOEXEC));
  return descriptor->get() < 0 ? -errno : 0;
}

// namespaces(7): two descriptors refer to the same namespace if device and inode are equal.
int is_same(const Descriptor& one, const Descriptor& other, bool* same) {
  struct stat first, second;
  if (fstat(one.get(), &first) != 0 || fstat(other.get(), &second) != 0) return -errno;
  *same = first.st_dev == second.st_dev && first.st_ino == second.st_ino;
  return 0;
}

struct Visit {
  int network_namespace;
  void (*work)(void*);
  void* argument;
  int error;
};

void* visit(void* data) {
  auto* visit = static_cast<Visit*>(data);
  if (setns(visit->network_namespace, CLONE_NEWNET) == 0) {
    visit->work(visit->argument);
  } else {
    visit->error = -errno;
  }
  return nullptr;
}

Failure enter_and_run(const Descriptor& network, void (*work)(void*), void* argument) {
  Visit there = {network.get(), work, argument, 0};
  pthread_t thread;
  if (int error = start_thread(&thread, visit, &there)) return {error, "pthread_create"};
  pthread_join(thread, nullptr);
  return {there.error, there.error == 0 ? nullptr : "setns"};
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

Failure run_in_network_namespace_of_socket(int fd, void (*work)(void*), void* argument) {
  // The kernel sets close-on-exec itself.
  const Descriptor network(ioctl(fd, SIOCGSKNS));
  if (network.get() < 0) return {-errno, "ioctl"};
  return enter_and_run(network, work, argument);
}

Failure run_in_network_namespace_of(pid_t pid, void (*work)(void*), void* argument) {
  if (pid == 0) {
    work(argument);
    return {};
  }
  std::array<char, sizeof("/proc/2147483647/ns/net")> path;
  snprintf(path.data(), path.size(), "/proc/%d/ns/net", pid);
  Descriptor theirs(-1), ours(-1);
  if (int error = open_namespace(path.data(), &theirs)) return {error, "open"};
  if (int error = open_namespace("/proc/thread-self/ns/net", &ours)) return {error, "open"};
  bool same = false;
  if (int error = is_same(theirs, ours, &same)) return {error, "fstat"};
  if (same) {
    work(argument);
    return {};
  }
  return enter_and_run(theirs, work, argument);
}

}  // namespace deadpeer
