#pragma once

// Changes that a test makes to its own process. They do not affect other tests.

namespace deadpeer {

// From now on the kernel refuses to set the option in this process: EPERM, as a sandbox would.
void forbid_setting(int level, int name);

// From now on the system call with that number fails with `error`, as under a sandbox or an old
// kernel.
void forbid_call(int number, int error);

// Gives the process a separate network, whose defaults it may change. No interface is up in it.
void enter_own_network();

// The same with loopback up, and no other program on it.
void enter_own_loopback();

// A name as in tcp(7), such as "tcp_keepalive_intvl".
void set_default(const char* name, int value);

// Open descriptors stay open.
void allow_more_descriptors(bool allow);

void give_up_privileges();

}  // namespace deadpeer
