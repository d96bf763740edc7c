#pragma once

#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

// Each test runs in a separate process (run.mjs starts them). A failed check ends that process,
// from any depth, and a test may change its process in ways that cannot be undone.
struct Test {
  Test(const char* name, void (*run)()) : name(name), run(run) {
    *end = this;
    end = &next;
  }

  const char* name;
  void (*run)();
  Test* next = nullptr;

  static inline Test* first = nullptr;
  static inline Test** end = &first;
};

constexpr int kFailed = 1;
constexpr int kSkipped = 77;

[[noreturn, gnu::format(printf, 2, 3)]] inline void end_test(int code, const char* why, ...) {
  va_list arguments;
  va_start(arguments, why);
  vprintf(why, arguments);
  va_end(arguments);
  fflush(stdout);
  _exit(code);
}

inline bool privileges_required() {
  const char* required = getenv("DEADPEER_TEST_PRIVILEGES");
  return required != nullptr && *required != 0;
}

inline void check_equal(long long actual, long long expected, const char* what, const char* file,
                        int line) {
  if (actual == expected) return;
  end_test(kFailed, "%s:%d: %s is %lld, not %lld", file, line, what, actual, expected);
}

#define TEST(name)                             \
  static void name();                          \
  static Test registered_##name(#name, &name); \
  static void name()

#define FAIL(...) end_test(kFailed, __VA_ARGS__)
#define SKIP(...) end_test(kSkipped, __VA_ARGS__)
// Skips a test for lack of privileges. A machine that must run all tests has to grant them
// (.ci/run).
#define SKIP_UNPRIVILEGED(...) end_test(privileges_required() ? kFailed : kSkipped, __VA_ARGS__)
#define CHECK(what) ((what) ? void() : FAIL("%s:%d: %s", __FILE__, __LINE__, #what))
#define CHECK_EQ(actual, expected) check_equal(actual, expected, #actual, __FILE__, __LINE__)
