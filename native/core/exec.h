#pragma once

#include <cstddef>

namespace deadpeer {

// Replaces the program of this process by another one, as execvp(3) does: the pid, the environment
// and the descriptors up to `last_descriptor` stay. `arguments` is `size` bytes of strings that end
// with NUL; the first is the program. Returns only where that fails: -errno.
int exec_program(char* arguments, size_t size, int last_descriptor);

}  // namespace deadpeer
