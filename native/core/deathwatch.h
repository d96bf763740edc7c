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

// What the kernel reported of a connection, and its counters right after.
struct KernelEvent {
  uint64_t id;
  // Of epoll_ctl(2): EPOLLRDHUP, EPOLLHUP, EPOLLERR.
  uint32_t events;
  // Bytes received and not read yet.
  int unread;
  // Of `info`; a kernel with a longer tcp_info loses its tail.
  int length;
  std::array<unsigned char, 320> info;
};

// Watches connections for their end on a thread of its own: a private epoll set, edge-triggered,
// for hang-ups and errors only. It costs nothing while no connection ends, and it covers sockets
// that the program does not read.
//
// The thread only reads. A descriptor that it works on can be closed and its number be given to
// another socket between two of its instructions, so epoll carries ids, and a socket's cookie is
// compared before and after its counters are read. It ends with the last connection.
//
// All functions but the thread's own belong to one caller at a time.
class Deathwatch {
 public:
  // `wake` is called on the thread when the first event waits for take(), and not again until
  // it has been taken. It must not call back.
  Deathwatch(void (*wake)(void* context), void* context) : wake_(wake), context_(context) {}
  ~Deathwatch();
  Deathwatch(const Deathwatch&) = delete;
  Deathwatch& operator=(const Deathwatch&) = delete;

  // Watches a TCP connection. One that has ended already is reported at once. The same connection
  // again gets the same id, and is to be removed as often. Returns 0 or -errno: of getsockopt(2),
  // -EBADF, -ENOTSOCK, and -ENOPROTOOPT or -EOPNOTSUPP for what is not TCP; of epoll_ctl(2), such
  // as -ENOSPC (fs.epoll.max_user_watches); -EMFILE, or -EAGAIN where there can be no more threads.
  // Nothing is left behind then.
  int add(int fd, uint64_t* id);

  // Whether its descriptor is still open or not. Its events that were not taken yet are
  // dropped.
  void remove(uint64_t id);

  // Takes the events, in order. At most two of each connection: that its peer has
  // closed its side, and the last.
  std::vector<KernelEvent> take();

  // Removes all of them: the thread has ended when it returns.
  void close();

 private:
  struct Entry {
    uint64_t cookie;
    int fd;
    uint32_t references;
    // Where in waiting_ it is, counted from 1. 0: nowhere.
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
  // By descriptor: who was the last to be added with it.
  std::vector<uint64_t> newest_;

  // Shared with the thread.
  std::mutex mutex_;
  std::unordered_map<uint64_t, Entry> entries_;
  std::vector<KernelEvent> waiting_;
};

}  // namespace deadpeer
