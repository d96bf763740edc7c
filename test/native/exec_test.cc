#include "core/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <string>

#include "check.h"

namespace deadpeer {

namespace {

// The test continues in the shell, whose exit code is its result.
int exec_shell(const char* script, int last_descriptor) {
  std::string arguments = std::string("sh") + '\0' + "-c" + '\0' + script + '\0';
  return exec_program(arguments.data(), arguments.size(), last_descriptor);
}

TEST(exec_keeps_the_pid_and_passes_arguments) {
  const std::string script = "test $$ = " + std::to_string(getpid());
  FAIL("exec failed: %d", exec_shell(script.c_str(), 2));
}

TEST(exec_resets_signals_that_were_ignored) {
  signal(SIGPIPE, SIG_IGN);
  FAIL("exec failed: %d", exec_shell("sh -c 'kill -PIPE $$'; test $? = 141", 2));
}

TEST(exec_passes_descriptors_on_up_to_the_last) {
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  CHECK_EQ(dup3(fd, 7, O_CLOEXEC), 7);
  CHECK_EQ(dup3(fd, 8, O_CLOEXEC), 8);
  FAIL("exec failed: %d", exec_shell("test -e /proc/self/fd/7 && ! test -e /proc/self/fd/8", 7));
}

TEST(exec_makes_standard_streams_blocking) {
  int ends[2];
  CHECK_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
  CHECK_EQ(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
  // The read end waits for the writer. A non-blocking one would not.
  CHECK_EQ(fcntl(ends[1], F_SETFD, 0), 0);
  const std::string script =
      "(sleep 0.2; echo late >&" + std::to_string(ends[1]) + ") & read word && test $word = late";
  FAIL("exec failed: %d", exec_shell(script.c_str(), 2));
}

TEST(exec_says_why_it_failed) {
  char missing[] = "/no/such/program";
  CHECK_EQ(exec_program(missing, sizeof(missing), 2), -ENOENT);
  char folder[] = "/";
  CHECK_EQ(exec_program(folder, sizeof(folder), 2), -EACCES);
  char unterminated[] = {'s', 'h'};
  CHECK_EQ(exec_program(unterminated, sizeof(unterminated), 2), -EINVAL);
  CHECK_EQ(exec_program(unterminated, 0, 2), -EINVAL);
}

}  // namespace

}  // namespace deadpeer
