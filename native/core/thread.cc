#include "core/thread.h"

#include <signal.h>

namespace deadpeer {

namespace {

// These threads call nothing deeper than a system call. A sanitizer's frames are larger.
constexpr size_t kStackSize = 512 * 1024;

}  // namespace

int start_thread(pthread_t* thread, void* (*run)(void*), void* argument) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_attr_t attributes;
  if (int error = pthread_attr_init(&attributes)) return -error;
  pthread_attr_setstacksize(&attributes, kStackSize);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(thread, &attributes, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error == 0) pthread_setname_np(*thread, "deadpeer");
  pthread_attr_destroy(&attributes);
  return -error;
}

}  // namespace deadpeer
