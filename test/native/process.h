#pragma once

// What a test may do to its own process, and no other feels.

namespace deadpeer {

// From now on the kernel refuses this process to set the option: EPERM, as a sandbox would.
void forbid_setting(int level, int name);

// From now on the system call of that number fails with `error`, as under a sandbox or an old
// kernel.
void forbid_call(int number, int error);

// Gives the process a network of its own, whose defaults it may change. Nothing is up in there.
void enter_own_network();

// The same with loopback, and nobody else on it.
void enter_own_loopback();

// As in tcp(7), such as "tcp_keepalive_intvl".
void set_default(const char* name, int value);

// Those that are open stay open.
void allow_more_descriptors(bool allow);

void give_up_privileges();

}  // namespace deadpeer
