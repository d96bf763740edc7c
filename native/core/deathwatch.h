#pragma once

#include <pthread.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/descriptor.h"

namespace deadpeer {

// What the kernel reported about a connection, and its counters right after.
struct KernelEvent {
  uint64_t id;
  // As in epoll_ctl(2): EPOLLRDHUP, EPOLLHUP, EPOLLERR.
  uint32_t events;
  // Bytes received and not yet read.
  int unread;
  // The length of `info`. If a kernel has a longer tcp_info, its end is cut off.
  int length;
  std::array<unsigned char, 320> info;
};

// Detects the end of connections on its own thread. A private epoll set, edge-triggered, reports
// hang-ups and errors only. It uses no CPU time while no connection ends, and covers sockets that
// the program does not read.
//
// The thread only reads. At any moment a descriptor can be closed, and its number can go to another
// socket. So epoll carries ids, and the thread compares a socket's cookie before and after it reads
// the counters. The thread ends with the last connection.
//
// Only one caller at a time may use it, apart from the thread's own functions.
class Deathwatch {
 public:
  // The thread calls `wake` when the first event waits for take(), and not again until that event
  // was taken. `wake` must not call back.
  Deathwatch(void (*wake)(void* context), void* context) : wake_(wake), context_(context) {}
  ~Deathwatch();
  Deathwatch(const Deathwatch&) = delete;
  Deathwatch& operator=(const Deathwatch&) = delete;

  // Watches a TCP connection. A connection that has already ended is reported at once. Adding the
  // same connection again returns the same id. It must be removed as often as it was added.
  // Returns 0 or -errno: of getsockopt(2), -EBADF, -ENOTSOCK, and -ENOPROTOOPT or -EOPNOTSUPP if
  // it is not TCP; of epoll_ctl(2), such as -ENOSPC (fs.epoll.max_user_watches); -EMFILE; or
  // -EAGAIN if no more threads are allowed. After a failure nothing is left behind.
  int add(int fd, uint64_t* id);

  // The descriptor may be open or closed. Drops events that were not taken yet.
  void remove(uint64_t id);

  // Takes the events, in order. A connection has at most two: its peer has closed its side, and the
  // last event.
  std::vector<KernelEvent> take();

  // Removes all connections. The thread has ended when it returns.
  void close();

 private:
  struct Entry {
    uint64_t cookie;
    int fd;
    uint32_t references;
    // Its position in waiting_, from 1. 0: none.
    uint32_t waiting;
  };

  int start();
  void stop();
  bool add_reference(int fd, uint64_t cookie, uint64_t* id);
  uint64_t& newest_of(int fd);
  static void* run(void* self);
  void observe(uint64_t id, uint32_t events);
  void keep(const KernelEvent& event);

  void (*const wake_)(void*);
  void* const context_;

  Descriptor epoll_{-1};
  Descriptor stop_{-1};
  pthread_t thread_ = {};
  bool running_ = false;
  uint64_t last_id_ = 0;
  // For each descriptor, the id that was added last.
  std::vector<uint64_t> newest_;

  // The members below are shared with the thread.
  std::mutex mutex_;
  std::unordered_map<uint64_t, Entry> entries_;
  std::vector<KernelEvent> waiting_;
};

}  // namespace deadpeer
