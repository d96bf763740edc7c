#include "core/borrow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "check.h"
#include "core/socket.h"
#include "loopback.h"
#include "process.h"
#include "waiting.h"

namespace deadpeer {

namespace {

constexpr int kNoSuchDescriptor = 9999;

int open_descriptors() {
  DIR* folder = opendir("/proc/self/fd");
  CHECK(folder != nullptr);
  int count = 0;
  while (readdir(folder) != nullptr) count++;
  closedir(folder);
  return count;
}

void check_refused(pid_t pid, int fd, int error) {
  const int before = open_descriptors();
  Descriptor borrowed(-1);
  CHECK_EQ(borrow(pid, fd, &borrowed).error, error);
  CHECK_EQ(borrowed.get(), -1);
  CHECK_EQ(open_descriptors(), before);
}

uint64_t cookie_of(const Descriptor& socket) {
  uint64_t cookie = 0;
  CHECK_EQ(read_cookie(socket.get(), &cookie), 0);
  return cookie;
}

void check_no_fin_at(const Descriptor& socket) {
  let_ticks_pass();
  CHECK_EQ(info_of(socket).tcpi_state, kEstablished);
  char byte;
  CHECK_EQ(recv(socket.get(), &byte, 1, MSG_DONTWAIT), -1);
  CHECK_EQ(errno, EAGAIN);
}

void check_fin_at(const Descriptor& socket) {
  char byte;
  CHECK_EQ(recv(socket.get(), &byte, 1, 0), 0);
  CHECK_EQ(info_of(socket).tcpi_state, kCloseWait);
}

// Runs `task` in another process, which then waits to be killed. Returns once `task` is done.
template <typename Task>
pid_t start_process(Task task) {
  int ends[2];
  CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Descriptor reader(ends[0]);
  Descriptor writer(ends[1]);
  const pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    task();
    CHECK_EQ(::write(writer.get(), "x", 1), 1);
    for (;;) pause();
  }
  writer.reset();
  char byte;
  CHECK_EQ(::read(reader.get(), &byte, 1), 1);
  return pid;
}

void kill_process(pid_t pid) {
  CHECK_EQ(kill(pid, SIGKILL), 0);
  CHECK_EQ(waitpid(pid, nullptr, 0), pid);
}

TEST(borrowed_is_the_same_socket_closed_on_exec) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    Descriptor borrowed(-1);
    CHECK_EQ(borrow(getpid(), connection.client.get(), &borrowed).error, 0);
    CHECK(borrowed.get() != connection.client.get());
    CHECK(cookie_of(borrowed) == cookie_of(connection.client));
    CHECK_EQ(fcntl(borrowed.get(), F_GETFD), FD_CLOEXEC);
  }
}

TEST(borrowed_from_another_process_takes_options_there) {
  Connection connection;
  const int fd = connection.client.get();
  const pid_t owner = start_process([] {});
  // This process no longer has the socket, so the values below came through the other process.
  connection.client.reset();
  {
    Descriptor borrowed(-1);
    CHECK_EQ(borrow(owner, fd, &borrowed).error, 0);
    CHECK_EQ(set_int(borrowed.get(), IPPROTO_TCP, TCP_KEEPIDLE, 77), 0);
  }
  Descriptor again(-1);
  CHECK_EQ(borrow(owner, fd, &again).error, 0);
  int value = 0;
  CHECK_EQ(get_int(again.get(), IPPROTO_TCP, TCP_KEEPIDLE, &value), 0);
  CHECK_EQ(value, 77);
  kill_process(owner);
}

TEST(options_of_many_sockets_of_one_process) {
  Connection first, second;
  CHECK_EQ(set_int(second.client.get(), IPPROTO_TCP, TCP_KEEPIDLE, 77), 0);
  OwnersOptions sockets[4] = {
      {first.client.get(), cookie_of(first.client), {}, 0, {}},
      {second.client.get(), cookie_of(second.client), {}, 0, {}},
      // The number of the second socket with the cookie of the first.
      {second.client.get(), cookie_of(first.client), {}, 0, {}},
      {kNoSuchDescriptor, cookie_of(first.client), {}, 0, {}},
  };
  const int before = open_descriptors();
  read_options_of(getpid(), sockets, 4);
  Settings expected;
  CHECK_EQ(read(first.client.get(), &expected), 0);
  CHECK_EQ(sockets[0].failure.error, 0);
  CHECK(sockets[0].settings.mask == expected.mask && sockets[0].settings.value == expected.value);
  CHECK_EQ(sockets[1].failure.error, 0);
  CHECK_EQ(sockets[1].settings.value[kInitialDelay], 77000);
  CHECK_EQ(sockets[2].failure.error, -ESTALE);
  CHECK(sockets[2].settings.mask == 0);
  CHECK_EQ(sockets[3].failure.error, -EBADF);
  CHECK_EQ(strcmp(sockets[3].failure.syscall, "pidfd_getfd"), 0);
  CHECK_EQ(open_descriptors(), before);
}

TEST(options_of_a_process_that_is_not_there) {
  const pid_t gone = start_process([] {});
  kill_process(gone);
  OwnersOptions socket = {3, 1, {}, 0, {}};
  read_options_of(gone, &socket, 1);
  CHECK_EQ(socket.failure.error, -ESRCH);
  CHECK_EQ(strcmp(socket.failure.syscall, "pidfd_open"), 0);
}

TEST(no_fin_while_borrowed) {
  Connection connection;
  Descriptor borrowed(-1);
  CHECK_EQ(borrow(getpid(), connection.client.get(), &borrowed).error, 0);
  connection.client.reset();
  check_no_fin_at(connection.server);
  borrowed.reset();
  check_fin_at(connection.server);
}

TEST(borrower_that_is_killed_gives_back) {
  Connection connection;
  const pid_t owner = getpid();
  const int fd = connection.client.get();
  const pid_t borrower = start_process([&] {
    Descriptor borrowed(-1);
    CHECK_EQ(borrow(owner, fd, &borrowed).error, 0);
    // Closed here as if never inherited. Only the borrowed descriptor remains, until the kernel
    // closes it.
    connection.client.reset();
    borrowed.release();
  });
  connection.client.reset();
  check_no_fin_at(connection.server);
  kill_process(borrower);
  check_fin_at(connection.server);
}

TEST(borrow_from_a_process_that_is_no_more) {
  const Connection connection;
  const pid_t pid = start_process([] {});
  kill_process(pid);
  check_refused(pid, connection.client.get(), -ESRCH);
}

TEST(borrow_from_no_process) {
  check_refused(0, 0, -EINVAL);
  check_refused(-1, 0, -EINVAL);
}

TEST(borrow_from_a_thread) {
  const Connection connection;
  std::thread([&] {
    const pid_t thread = static_cast<pid_t>(syscall(SYS_gettid));
    Descriptor borrowed(-1);
    const int error = borrow(thread, connection.client.get(), &borrowed).error;
    CHECK(error == -EINVAL || error == -ENOENT);
    CHECK_EQ(borrowed.get(), -1);
  }).join();
}

TEST(borrow_what_is_not_open) {
  check_refused(getpid(), kNoSuchDescriptor, -EBADF);
  check_refused(getpid(), -1, -EBADF);
}

TEST(borrow_what_is_not_tcp) {
  const Descriptor file(open("/dev/null", O_RDWR | O_CLOEXEC));
  check_refused(getpid(), file.get(), -ENOTSOCK);
  const Descriptor udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  check_refused(getpid(), udp.get(), -ENOPROTOOPT);
  const Descriptor local(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  check_refused(getpid(), local.get(), -ENOPROTOOPT);
}

TEST(borrow_from_one_that_is_not_dumpable) {
  const Connection connection;
  give_up_privileges();
  const pid_t open = start_process([] { CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0); });
  const pid_t shut = start_process([] { CHECK_EQ(prctl(PR_SET_DUMPABLE, 0), 0); });
  check_refused(shut, connection.client.get(), -EPERM);
  Descriptor borrowed(-1);
  CHECK_EQ(borrow(open, connection.client.get(), &borrowed).error, 0);
  kill_process(open);
  kill_process(shut);
}

TEST(borrow_from_one_with_more_privileges) {
  const Connection connection;
  const pid_t privileged = start_process([] {});
  Descriptor borrowed(-1);
  CHECK_EQ(borrow(privileged, connection.client.get(), &borrowed).error, 0);
  give_up_privileges();
  const int error = borrow(privileged, connection.client.get(), &borrowed).error;
  if (error == 0) SKIP_UNPRIVILEGED("there were no privileges to give up");
  CHECK_EQ(error, -EPERM);
  kill_process(privileged);
}

TEST(borrow_on_a_kernel_before_5_6) {
  const Connection connection;
  const int before = open_descriptors();
  forbid_call(438, ENOSYS);  // pidfd_getfd
  check_refused(getpid(), connection.client.get(), -ENOSYS);
  forbid_call(434, ENOSYS);  // pidfd_open, Linux 5.3
  check_refused(getpid(), connection.client.get(), -ENOSYS);
  CHECK_EQ(open_descriptors(), before);
}

TEST(borrow_where_no_descriptor_is_left) {
  const Connection connection;
  Descriptor borrowed(-1);
  allow_more_descriptors(false);
  const Failure failed = borrow(getpid(), connection.client.get(), &borrowed);
  CHECK_EQ(failed.error, -EMFILE);
  CHECK_EQ(strcmp(failed.syscall, "pidfd_open"), 0);
  allow_more_descriptors(true);
  CHECK_EQ(borrow(getpid(), connection.client.get(), &borrowed).error, 0);
}

}  // namespace

}  // namespace deadpeer
