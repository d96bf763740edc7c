#include "core/network_namespace.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>

#include "check.h"
#include "process.h"

namespace deadpeer {

namespace {

ino_t here() {
  struct stat found;
  CHECK_EQ(stat("/proc/thread-self/ns/net", &found), 0);
  return found.st_ino;
}

// A process in a separate network namespace, until it is destroyed.
class Neighbour {
 public:
  Neighbour() {
    std::array<int, 2> ready;
    CHECK_EQ(pipe(ready.data()), 0);
    pid_ = fork();
    CHECK(pid_ >= 0);
    if (pid_ == 0) {
      const char answer = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
      if (write(ready[1], &answer, 1) != 1) _exit(1);
      for (;;) pause();
    }
    char answer = 0;
    CHECK_EQ(read(ready[0], &answer, 1), 1);
    if (answer != 'y') {
      end();
      SKIP_UNPRIVILEGED("a network namespace needs CAP_SYS_ADMIN");
    }
  }
  ~Neighbour() { end(); }

  pid_t pid() const { return pid_; }

  void end() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
};

struct Run {
  int times = 0;
  ino_t in = 0;
  pid_t thread = 0;
};

Failure run_for(pid_t pid, Run* run) {
  return in_network_namespace_of(pid, [run] {
    run->times++;
    run->in = here();
    run->thread = static_cast<pid_t>(syscall(SYS_gettid));
  });
}

void check_refused(pid_t pid, int error, const char* call) {
  Run run;
  const Failure refusal = run_for(pid, &run);
  CHECK_EQ(refusal.error, error);
  CHECK_EQ(strcmp(refusal.syscall, call), 0);
  CHECK_EQ(run.times, 0);
}

}  // namespace

TEST(runs_in_the_other_namespace_on_a_thread_of_its_own) {
  const Neighbour neighbour;
  const ino_t home = here();
  Run run;
  CHECK_EQ(run_for(neighbour.pid(), &run).error, 0);
  CHECK_EQ(run.times, 1);
  CHECK(run.in != home);
  CHECK(run.thread != getpid());
  CHECK_EQ(here(), home);
}

TEST(runs_on_the_calling_thread_where_the_namespace_is_the_same) {
  for (const pid_t pid : {0, getpid(), getppid()}) {
    Run run;
    const Failure refusal = run_for(pid, &run);
    if (refusal.error == -EACCES) continue;
    CHECK_EQ(refusal.error, 0);
    CHECK_EQ(run.times, 1);
    CHECK_EQ(run.in, here());
    CHECK_EQ(run.thread, getpid());
  }
}

TEST(refuses_a_namespace_that_may_not_be_entered) {
  const Neighbour neighbour;
  forbid_call(SYS_setns, EPERM);
  check_refused(neighbour.pid(), -EPERM, "setns");
}

TEST(refuses_where_no_thread_can_be_started) {
  const Neighbour neighbour;
  // A filter applies to its thread, and the sanitizer's leak check starts a thread from the main
  // thread.
  std::thread([&neighbour] {
    forbid_call(SYS_clone, EAGAIN);
#ifdef SYS_clone3
    forbid_call(SYS_clone3, EAGAIN);
#endif
    check_refused(neighbour.pid(), -EAGAIN, "pthread_create");
  }).join();
}

TEST(refuses_a_process_that_has_ended) {
  Neighbour neighbour;
  const pid_t pid = neighbour.pid();
  neighbour.end();
  check_refused(pid, -ENOENT, "open");
}

}  // namespace deadpeer
