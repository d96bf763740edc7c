#pragma once

#include <cstddef>

namespace deadpeer {

// Replaces the program of this process, as execvp(3) does. The pid, the environment, and the
// descriptors up to `last_descriptor` stay. `arguments` is `size` bytes of NUL-terminated strings;
// the first is the program. Returns only if it fails: -errno.
int exec_program(char* arguments, size_t size, int last_descriptor);

}  // namespace deadpeer
