#pragma once

#include <pthread.h>

namespace deadpeer {

// Starts a thread of the library's own, named "deadpeer" in ps and debuggers, that handles no
// signal: those are the program's. Its stack has 512 KiB. Returns 0 or -errno; -EAGAIN where there
// can be no more threads.
int start_thread(pthread_t* thread, void* (*run)(void*), void* argument);

}  // namespace deadpeer
