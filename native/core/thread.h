#pragma once

#include <pthread.h>

namespace deadpeer {

// Starts a thread that handles no signals: a signal is the program's. Returns 0 or -errno, -EAGAIN
// where there can be no more threads.
int start_thread(pthread_t* thread, void* (*run)(void*), void* argument);

}  // namespace deadpeer
