#pragma once

#include <netinet/in.h>

#include "core/descriptor.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

namespace deadpeer {

enum class Path {
  kIpv4,
  kIpv6,
  kMapped,  // IPv6 sockets at both ends, IPv4 between them (::ffff:127.0.0.1)
};

constexpr Path kPaths[] = {Path::kIpv4, Path::kIpv6, Path::kMapped};

// Skips the test if the machine has no IPv6.
Descriptor open_socket(Path path, int protocol = IPPROTO_TCP);

// On a port that the kernel chooses.
Descriptor listen_on(Path path, int backlog = 16, int protocol = IPPROTO_TCP);

Descriptor connect_to(const Descriptor& listener, int protocol = IPPROTO_TCP);

// Stays connecting: the listener has a backlog of 0, and its one place is taken.
Descriptor connect_in_vain_to(const Descriptor& listener);

// Waits for a connection.
Descriptor accept_from(const Descriptor& listener);

// Waits until a connection can be accepted, and leaves it in the queue.
void await_acceptable(const Descriptor& listener);

struct Connection {
  explicit Connection(Path path = Path::kIpv4, int client_protocol = IPPROTO_TCP,
                      int server_protocol = IPPROTO_TCP)
      : listener(listen_on(path, 16, server_protocol)),
        client(connect_to(listener, client_protocol)),
        server(accept_from(listener)) {}

  const Descriptor listener;
  Descriptor client;
  const Descriptor server;
};

// Skips the test if that is not allowed.
void must_deafen(const Descriptor& socket);

// Writes until the buffer is full. The peer must be one that does not read.
void fill(const Descriptor& writer);

}  // namespace deadpeer
