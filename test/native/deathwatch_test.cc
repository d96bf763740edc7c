#include "core/deathwatch.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <vector>

#include "check.h"
#include "core/socket.h"
#include "core/tcp_info.h"
#include "loopback.h"
#include "process.h"
#include "waiting.h"

namespace deadpeer {

namespace {

// A deathwatch, and how often it has called.
struct Watch {
  Deathwatch deathwatch{[](void* self) { static_cast<Watch*>(self)->calls++; }, this};
  std::atomic<int> calls{0};
};

uint64_t must_add(Watch& watch, const Descriptor& socket) {
  uint64_t id = 0;
  CHECK_EQ(watch.deathwatch.add(socket.get(), &id), 0);
  CHECK(id > 0);
  return id;
}

// Waits for the next call, and takes its event.
std::vector<KernelEvent> await_events(Watch& watch) {
  CHECK(eventually([&] { return watch.calls.exchange(0) > 0; }));
  return watch.deathwatch.take();
}

// Closes so that the peer gets a reset.
void reset(Descriptor& socket) {
  const linger at_once = {1, 0};
  CHECK_EQ(setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
  socket.reset();
}

struct Peers {
  Peers() : Peers(listen_on(Path::kIpv4)) {}
  explicit Peers(const Descriptor& listener)
      : near(connect_to(listener)), far(accept_from(listener)) {}
  Descriptor near;
  Descriptor far;
};

// Finds it by name, because a sanitizer may have its own thread.
int threads() {
  int count = 0;
  DIR* tasks = opendir("/proc/self/task");
  while (const dirent* task = readdir(tasks)) {
    char path[300];
    snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
    FILE* file = fopen(path, "r");
    if (file == nullptr) continue;
    char name[20] = "";
    count += fgets(name, sizeof(name), file) != nullptr && strcmp(name, "deadpeer\n") == 0;
    fclose(file);
  }
  closedir(tasks);
  return count;
}

// pthread_join() returns a moment before the kernel removes the thread from the list.
bool has_no_thread() {
  return eventually([] { return threads() == 0; });
}

int state_of(const KernelEvent& event) {
  return event.info[0];
}

TEST(deathwatch_sees_a_reset_with_its_counters) {
  Watch watch;
  Peers peers;
  const uint64_t id = must_add(watch, peers.near);
  reset(peers.far);
  const auto events = await_events(watch);
  CHECK_EQ(events.size(), 1);
  CHECK_EQ(events[0].id, id);
  CHECK_EQ(events[0].events, EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  CHECK_EQ(state_of(events[0]), kClose);
  CHECK(events[0].length >= 104);
}

TEST(deathwatch_sees_a_user_timeout) {
  Watch watch;
  const Connection connection;
  must_add(watch, connection.client);
  CHECK_EQ(set_int(connection.client.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, 50), 0);
  must_deafen(connection.server);
  CHECK_EQ(send(connection.client.get(), "x", 1, 0), 1);
  const auto events = await_events(watch);
  CHECK_EQ(events.size(), 1);
  tcp_info info;
  memcpy(&info, events[0].info.data(), sizeof(info));
  CHECK_EQ(info.tcpi_state, kClose);
  CHECK(info.tcpi_retransmits > 0);
}

TEST(deathwatch_sees_a_fin_and_what_is_unread) {
  Watch watch;
  Peers peers;
  must_add(watch, peers.near);
  CHECK_EQ(send(peers.far.get(), "four", 4, 0), 4);
  peers.far.reset();
  const auto events = await_events(watch);
  CHECK_EQ(events.size(), 1);
  CHECK_EQ(events[0].events, EPOLLRDHUP);
  CHECK_EQ(events[0].unread, 4);
  CHECK_EQ(state_of(events[0]), kCloseWait);
}

TEST(deathwatch_does_not_wake_for_data) {
  Watch watch;
  const Connection connection;
  must_add(watch, connection.client);
  for (int i = 0; i < 100; i++) CHECK_EQ(send(connection.server.get(), "x", 1, 0), 1);
  char byte;
  CHECK_EQ(recv(connection.client.get(), &byte, 1, 0), 1);
  let_ticks_pass();
  CHECK_EQ(watch.calls, 0);
  CHECK_EQ(watch.deathwatch.take().size(), 0);
}

TEST(deathwatch_sees_what_ended_before_it_was_added) {
  Watch watch;
  Peers peers;
  reset(peers.far);
  CHECK(eventually([&] { return info_of(peers.near).tcpi_state == kClose; }));
  const uint64_t id = must_add(watch, peers.near);
  CHECK_EQ(await_events(watch)[0].id, id);
}

TEST(deathwatch_leaves_the_error_until_it_is_taken) {
  Watch watch;
  Peers peers;
  const uint64_t id = must_add(watch, peers.near);
  int error = 0;
  // The error of a live connection is never taken.
  CHECK_EQ(take_error(peers.near.get(), &error), -EISCONN);
  reset(peers.far);
  await_events(watch);
  CHECK_EQ(take_error(peers.near.get(), &error), 0);
  CHECK_EQ(error, ECONNRESET);
  CHECK_EQ(take_error(peers.near.get(), &error), 0);
  CHECK_EQ(error, 0);
  watch.deathwatch.remove(id);
  CHECK_EQ(take_error(-1, &error), -EBADF);
}

TEST(deathwatch_is_not_misled_by_a_descriptor_used_again) {
  Watch watch;
  Peers first;
  Peers second;
  Peers third;
  const int number = first.near.get();
  const uint64_t first_id = must_add(watch, first.near);
  // The number is given to another connection, as after a close by its owner. A second reference
  // keeps the first connection in the epoll set.
  const Descriptor kept(dup(number));
  CHECK_EQ(dup3(second.near.get(), number, O_CLOEXEC), number);
  const uint64_t second_id = must_add(watch, first.near);
  CHECK(second_id != first_id);
  reset(first.far);
  CHECK(eventually([&] { return info_of(kept).tcpi_state == kClose; }));
  let_ticks_pass();
  // Events of the first connection are not reported for the second, which has its number.
  CHECK_EQ(watch.calls, 0);
  // Removing the first does not take the second out of the set either.
  watch.deathwatch.remove(first_id);
  reset(second.far);
  const auto events = await_events(watch);
  CHECK_EQ(events.size(), 1);
  CHECK_EQ(events[0].id, second_id);
}

TEST(deathwatch_keeps_the_close_of_each_and_the_last) {
  Watch watch;
  Peers peers;
  must_add(watch, peers.near);
  CHECK_EQ(shutdown(peers.far.get(), SHUT_WR), 0);
  CHECK(eventually([&] { return watch.calls > 0; }));
  reset(peers.far);
  CHECK(eventually([&] { return info_of(peers.near).tcpi_state == kClose; }));
  let_ticks_pass();
  // One call until the events are taken.
  CHECK_EQ(watch.calls, 1);
  const auto events = watch.deathwatch.take();
  CHECK_EQ(events.size(), 2);
  CHECK_EQ(state_of(events[0]), kCloseWait);
  CHECK_EQ(state_of(events[1]), kClose);
  CHECK_EQ(watch.deathwatch.take().size(), 0);
}

TEST(deathwatch_keeps_no_more_than_two_events_of_each) {
  Watch watch;
  Peers peers;
  uint64_t id = must_add(watch, peers.near);
  CHECK_EQ(shutdown(peers.far.get(), SHUT_WR), 0);
  CHECK(eventually([&] { return watch.calls > 0; }));
  reset(peers.far);
  CHECK(eventually([&] { return info_of(peers.near).tcpi_state == kClose; }));
  // Each add makes epoll report again.
  for (int i = 0; i < 10; i++) {
    CHECK_EQ(must_add(watch, peers.near), id);
    let_ticks_pass();
  }
  CHECK_EQ(watch.deathwatch.take().size(), 2);
}

TEST(deathwatch_drops_what_it_saw_of_what_is_removed) {
  Watch watch;
  Peers peers, others;
  const uint64_t id = must_add(watch, peers.near);
  const uint64_t other = must_add(watch, others.near);
  reset(peers.far);
  CHECK(eventually([&] { return watch.calls > 0; }));
  reset(others.far);
  let_ticks_pass();
  watch.deathwatch.remove(id);
  const auto events = watch.deathwatch.take();
  CHECK_EQ(events.size(), 1);
  CHECK_EQ(events[0].id, other);
}

TEST(deathwatch_of_the_same_connection_twice_is_removed_twice) {
  Watch watch;
  Peers peers;
  const uint64_t id = must_add(watch, peers.near);
  CHECK_EQ(must_add(watch, peers.near), id);
  watch.deathwatch.remove(id);
  reset(peers.far);
  CHECK_EQ(await_events(watch)[0].id, id);
  watch.deathwatch.remove(id);
  CHECK(has_no_thread());
}

TEST(deathwatch_of_the_same_connection_again_reports_again_what_has_happened) {
  Watch watch;
  Peers peers;
  const uint64_t id = must_add(watch, peers.near);
  CHECK_EQ(shutdown(peers.far.get(), SHUT_WR), 0);
  CHECK_EQ(await_events(watch).size(), 1);
  CHECK_EQ(must_add(watch, peers.near), id);
  const auto events = await_events(watch);
  CHECK_EQ(events.size(), 1);
  CHECK_EQ(events[0].id, id);
  CHECK_EQ(state_of(events[0]), kCloseWait);
}

TEST(deathwatch_has_a_thread_and_descriptors_while_it_watches) {
  Watch watch;
  const Connection connection;
  const int next = dup(0);
  close(next);
  for (int i = 0; i < 100; i++) {
    CHECK(has_no_thread());
    const uint64_t id = must_add(watch, connection.client);
    CHECK_EQ(threads(), 1);
    watch.deathwatch.remove(id);
  }
  CHECK(has_no_thread());
  const Descriptor after(dup(0));
  CHECK_EQ(after.get(), next);
}

TEST(deathwatch_that_is_closed_or_destroyed_ends_its_thread) {
  {
    Watch watch;
    const Connection connection;
    must_add(watch, connection.client);
    watch.deathwatch.close();
    CHECK(has_no_thread());
    must_add(watch, connection.client);
    CHECK_EQ(threads(), 1);
  }
  CHECK(has_no_thread());
}

TEST(deathwatch_refuses_what_is_no_tcp_connection) {
  Watch watch;
  uint64_t id;
  CHECK_EQ(watch.deathwatch.add(-1, &id), -EBADF);
  CHECK_EQ(watch.deathwatch.add(0, &id), -ENOTSOCK);
  int ends[2];
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const Descriptor a(ends[0]), b(ends[1]);
  CHECK_EQ(watch.deathwatch.add(a.get(), &id), -EOPNOTSUPP);
  CHECK(has_no_thread());
}

TEST(deathwatch_without_descriptors_left_leaves_nothing_behind) {
  Watch watch;
  const Connection connection;
  uint64_t id;
  allow_more_descriptors(false);
  CHECK_EQ(watch.deathwatch.add(connection.client.get(), &id), -EMFILE);
  allow_more_descriptors(true);
  CHECK(has_no_thread());
  must_add(watch, connection.client);
}

TEST(deathwatch_without_threads_leaves_nothing_behind) {
  Watch watch;
  const Connection connection;
  const int next = dup(0);
  close(next);
#ifdef SYS_clone3
  forbid_call(SYS_clone3, ENOSYS);
#endif
  forbid_call(SYS_clone, EAGAIN);
  uint64_t id;
  CHECK_EQ(watch.deathwatch.add(connection.client.get(), &id), -EAGAIN);
  const Descriptor after(dup(0));
  CHECK_EQ(after.get(), next);
  // LeakSanitizer would search for leaks on its own thread.
  end_test(0, "no threads left");
}

TEST(deathwatch_where_epoll_is_refused_leaves_nothing_behind) {
  Watch watch;
  const Connection connection;
  forbid_call(SYS_epoll_ctl, ENOSPC);
  uint64_t id;
  CHECK_EQ(watch.deathwatch.add(connection.client.get(), &id), -ENOSPC);
  CHECK(has_no_thread());
}

TEST(deathwatch_handles_no_signals) {
  Watch watch;
  const Connection connection;
  must_add(watch, connection.client);
  static std::atomic<pid_t> handled_by{0};
  struct sigaction action = {};
  action.sa_handler = [](int) { handled_by = static_cast<pid_t>(syscall(SYS_gettid)); };
  CHECK_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  // The sending thread blocks the signal, so only the deathwatch's thread could receive it.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, nullptr), 0);
  CHECK_EQ(kill(getpid(), SIGUSR1), 0);
  let_ticks_pass();
  CHECK_EQ(handled_by, 0);
  CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &set, nullptr), 0);
  CHECK_EQ(handled_by, getpid());
}

// For ThreadSanitizer, the data that threads share: connections open, end, and have their numbers
// reused while the deathwatch reads.
TEST(deathwatch_loses_none_and_tells_none_twice) {
  Watch watch;
  constexpr int kRounds = 300;
  constexpr size_t kAtOnce = 8;
  size_t seen = 0;
  const Descriptor listener = listen_on(Path::kIpv4);
  for (int round = 0; round < kRounds; round++) {
    std::vector<std::unique_ptr<Peers>> all;
    std::vector<uint64_t> ids;
    for (size_t i = 0; i < kAtOnce; i++) {
      all.push_back(std::make_unique<Peers>(listener));
      ids.push_back(must_add(watch, all[i]->near));
    }
    std::vector<bool> awaited(kAtOnce, true);
    for (size_t i = 0; i < kAtOnce; i++) {
      if (i % 4 == 0) {
        // Closed while the deathwatch still watches it, and removed after that.
        reset(all[i]->near);
        watch.deathwatch.remove(ids[i]);
        awaited[i] = false;
      } else if (i % 4 == 1) {
        all[i]->far.reset();
      } else {
        reset(all[i]->far);
      }
    }
    size_t left = kAtOnce - kAtOnce / 4;
    CHECK(eventually([&] {
      for (const KernelEvent& event : watch.deathwatch.take()) {
        for (size_t i = 0; i < kAtOnce; i++) {
          if (ids[i] != event.id) continue;
          CHECK(awaited[i]);
          awaited[i] = false;
          left--;
          seen++;
          watch.deathwatch.remove(ids[i]);
          // Nothing may stay in TIME_WAIT, because other tests list all sockets.
          reset(all[i]->near);
        }
      }
      return left == 0;
    }));
  }
  CHECK_EQ(seen, kRounds * (kAtOnce - kAtOnce / 4));
  CHECK(has_no_thread());
}

}  // namespace

}  // namespace deadpeer
