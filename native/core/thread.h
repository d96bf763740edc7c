#pragma once

#include <pthread.h>

namespace deadpeer {

// Starts a thread named "deadpeer" with a stack of 512 KiB. All signals are blocked, because they
// belong to the program's threads. Returns 0 or -errno; -EAGAIN if no more threads are allowed.
int start_thread(pthread_t* thread, void* (*run)(void*), void* argument);

}  // namespace deadpeer
