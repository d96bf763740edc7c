#include "core/sock_destroy.h"

#include <errno.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "check.h"
#include "core/sock_diag_reply.h"
#include "core/socket.h"
#include "loopback.h"
#include "process.h"
#include "waiting.h"

namespace deadpeer {

namespace {

void copy_end(const sockaddr_storage& from, std::array<uint8_t, 16>* address, uint16_t* port) {
  if (from.ss_family == AF_INET) {
    sockaddr_in v4;
    memcpy(&v4, &from, sizeof(v4));
    memcpy(address->data(), &v4.sin_addr, sizeof(v4.sin_addr));
    *port = ntohs(v4.sin_port);
  } else {
    sockaddr_in6 v6;
    memcpy(&v6, &from, sizeof(v6));
    memcpy(address->data(), &v6.sin6_addr, sizeof(v6.sin6_addr));
    *port = ntohs(v6.sin6_port);
  }
}

// As a dump would list it.
SocketId id_of(const Descriptor& socket) {
  SocketId id;
  sockaddr_storage end = {};
  socklen_t length = sizeof(end);
  CHECK_EQ(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&end), &length), 0);
  copy_end(end, &id.local, &id.local_port);
  id.family = end.ss_family;
  length = sizeof(end);
  if (getpeername(socket.get(), reinterpret_cast<sockaddr*>(&end), &length) == 0) {
    copy_end(end, &id.remote, &id.remote_port);
  }
  CHECK_EQ(read_cookie(socket.get(), &id.cookie), 0);
  return id;
}

void must_destroy(const SocketId& id) {
  const int error = destroy_socket(id);
  if (error == -EPERM) SKIP_UNPRIVILEGED("destroying sockets needs CAP_NET_ADMIN");
  if (error == -EOPNOTSUPP) SKIP("this kernel has no CONFIG_INET_DIAG_DESTROY");
  CHECK_EQ(error, 0);
}

int error_of(const Descriptor& socket) {
  char byte;
  return recv(socket.get(), &byte, 1, 0) < 0 ? errno : 0;
}

void check_lives(const Connection& connection) {
  CHECK_EQ(send(connection.client.get(), "x", 1, MSG_NOSIGNAL), 1);
  char byte;
  CHECK_EQ(recv(connection.server.get(), &byte, 1, 0), 1);
}

TEST(destroyed_owner_is_told_of_the_abort_and_peer_of_a_reset) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    must_destroy(id_of(connection.client));
    CHECK_EQ(error_of(connection.client), ECONNABORTED);
    CHECK_EQ(error_of(connection.server), ECONNRESET);
  }
}

TEST(destroy_twice) {
  const Connection connection;
  const SocketId id = id_of(connection.client);
  must_destroy(id);
  CHECK_EQ(destroy_socket(id), -ENOENT);
}

TEST(destroy_by_another_cookie) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    SocketId id = id_of(connection.client);
    const SocketId other = id_of(connection.server);
    id.cookie = other.cookie;
    const int error = destroy_socket(id);
    if (error == -EPERM) SKIP_UNPRIVILEGED("destroying sockets needs CAP_NET_ADMIN");
    CHECK_EQ(error, -ENOENT);
    check_lives(connection);
  }
}

TEST(destroy_by_no_cookie) {
  const Connection connection;
  SocketId id = id_of(connection.client);
  id.cookie = ~uint64_t{0};
  CHECK_EQ(destroy_socket(id), -EINVAL);
  check_lives(connection);
}

Descriptor connect_from(uint32_t address, uint16_t port, const Descriptor& listener) {
  Descriptor client = open_socket(Path::kIpv4);
  sockaddr_in end = {};
  end.sin_family = AF_INET;
  end.sin_addr.s_addr = htonl(address);
  end.sin_port = htons(port);
  if (bind(client.get(), reinterpret_cast<sockaddr*>(&end), sizeof(end)) != 0) {
    FAIL("bind: %s", strerror(errno));
  }
  socklen_t length = sizeof(end);
  CHECK_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&end), &length), 0);
  CHECK_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&end), length), 0);
  return Descriptor(client.release());
}

TEST(destroy_hits_no_successor_with_the_same_addresses) {
  // An address that no other test uses, whose ports are free again once its connections are closed.
  const uint32_t address = 0x7f000000 | (static_cast<uint32_t>(getpid()) & 0xffffff) | 0x10000;
  const Descriptor listener = listen_on(Path::kIpv4);
  Descriptor client = connect_from(address, 0, listener);
  const SocketId gone = id_of(client);
  must_destroy(gone);
  client.reset();

  const Descriptor next = connect_from(address, gone.local_port, listener);
  const SocketId successor = id_of(next);
  CHECK(successor.local == gone.local && successor.remote == gone.remote);
  CHECK_EQ(successor.local_port, gone.local_port);
  CHECK_EQ(successor.remote_port, gone.remote_port);
  CHECK(successor.cookie != gone.cookie);

  CHECK_EQ(destroy_socket(gone), -ENOENT);
  CHECK_EQ(info_of(next).tcpi_state, kEstablished);
  must_destroy(successor);
  CHECK_EQ(info_of(next).tcpi_state, kClose);
}

TEST(destroy_a_listener) {
  const Descriptor listener = listen_on(Path::kIpv4);
  must_destroy(id_of(listener));
  CHECK_EQ(info_of(listener).tcpi_state, kClose);
}

Descriptor share_port(const sockaddr_storage& address, socklen_t length) {
  Descriptor listener(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  constexpr int kOn = 1;
  CHECK_EQ(setsockopt(listener.get(), SOL_SOCKET, SO_REUSEPORT, &kOn, sizeof(kOn)), 0);
  CHECK_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  CHECK_EQ(listen(listener.get(), 1), 0);
  return Descriptor(listener.release());
}

// Opens so many listeners at one address of that family (SO_REUSEPORT).
std::vector<std::unique_ptr<Descriptor>> listen_together(int family, size_t count) {
  sockaddr_storage address = {};
  address.ss_family = static_cast<sa_family_t>(family);
  socklen_t length = sizeof(sockaddr_in6);
  std::vector<std::unique_ptr<Descriptor>> listeners;
  while (listeners.size() < count) {
    listeners.push_back(std::make_unique<Descriptor>(share_port(address, length).release()));
    length = sizeof(address);
    CHECK_EQ(getsockname(listeners[0]->get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  }
  return listeners;
}

TEST(destroy_each_of_the_listeners_that_share_an_address) {
  for (const int family : {AF_INET, AF_INET6}) {
    auto listeners = listen_together(family, 60);
    std::shuffle(listeners.begin(), listeners.end(), std::mt19937(1));
    while (!listeners.empty()) {
      const SocketId id = id_of(*listeners.back());
      must_destroy(id);
      CHECK_EQ(info_of(*listeners.back()).tcpi_state, kClose);
      listeners.pop_back();
      CHECK_EQ(destroy_socket(id), -ENOENT);
      for (const auto& other : listeners) CHECK_EQ(info_of(*other).tcpi_state, kListen);
    }
  }
}

TEST(destroy_a_listener_that_the_kernel_does_not_find) {
  // If some listeners have a CPU of their own (SO_INCOMING_CPU), the kernel does not choose those
  // of other CPUs.
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(0, &cpus);
  CHECK_EQ(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
  const auto listeners = listen_together(AF_INET, 2);
  for (const int cpu : {0, 1}) {
    CHECK_EQ(setsockopt(listeners[static_cast<size_t>(cpu)]->get(), SOL_SOCKET, SO_INCOMING_CPU,
                        &cpu, sizeof(cpu)),
             0);
  }
  const SocketId elsewhere = id_of(*listeners[1]);
  const int error = destroy_socket(elsewhere);
  if (error == -EPERM) SKIP_UNPRIVILEGED("destroying sockets needs CAP_NET_ADMIN");
  if (error == 0) SKIP("this kernel chooses among listeners without regard to SO_INCOMING_CPU");
  CHECK_EQ(error, -ENOTUNIQ);
  for (const auto& listener : listeners) CHECK_EQ(info_of(*listener).tcpi_state, kListen);
  must_destroy(id_of(*listeners[0]));
  must_destroy(elsewhere);
}

TEST(destroy_one_that_is_bound_to_an_interface) {
  Connection connection;
  constexpr char kName[] = "lo";
  if (setsockopt(connection.client.get(), SOL_SOCKET, SO_BINDTODEVICE, kName, sizeof(kName)) != 0) {
    SKIP("SO_BINDTODEVICE: %s", strerror(errno));
  }
  SocketId id = id_of(connection.client);
  id.interface = if_nametoindex(kName);
  CHECK(id.interface != 0);
  must_destroy(id);
  CHECK_EQ(error_of(connection.client), ECONNABORTED);
}

TEST(destroy_without_privileges) {
  const Connection connection;
  const SocketId id = id_of(connection.client);
  give_up_privileges();
  CHECK_EQ(destroy_socket(id), -EPERM);
  check_lives(connection);
}

TEST(destroy_of_no_family) {
  SocketId id = id_of(Connection().client);
  id.family = AF_UNIX;
  CHECK(destroy_socket(id) < 0);
}

TEST(destroy_where_no_descriptor_is_left) {
  const Connection connection;
  const SocketId id = id_of(connection.client);
  allow_more_descriptors(false);
  CHECK_EQ(destroy_socket(id), -EMFILE);
  allow_more_descriptors(true);
}

constexpr uint32_t kSequence = 7;

// A message as the kernel lays it out, padded to the next one.
std::vector<uint8_t> message(uint16_t type, uint32_t sequence, int error, uint32_t length = 0) {
  struct {
    nlmsghdr header;
    int error;
  } whole = {};
  whole.header.nlmsg_len = length != 0 ? length : sizeof(whole);
  whole.header.nlmsg_type = type;
  whole.header.nlmsg_seq = sequence;
  whole.error = error;
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&whole);
  return {bytes, bytes + sizeof(whole)};
}

std::vector<uint8_t> operator+(std::vector<uint8_t> left, const std::vector<uint8_t>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

int find(const std::vector<uint8_t>& bytes) {
  return find_ack(bytes.data(), bytes.size(), kSequence);
}

TEST(ack_is_found) {
  CHECK_EQ(find(message(NLMSG_ERROR, kSequence, 0)), 0);
  CHECK_EQ(find(message(NLMSG_ERROR, kSequence, -ENOENT)), -ENOENT);
}

TEST(ack_is_found_behind_replies_to_others) {
  const auto other = message(NLMSG_ERROR, kSequence + 1, -EPERM);
  const auto data = message(NLMSG_MIN_TYPE, kSequence, -EPERM);
  CHECK_EQ(find(other), kNoAck);
  CHECK_EQ(find(data), kNoAck);
  CHECK_EQ(find(other + data + message(NLMSG_ERROR, kSequence, -ENOENT)), -ENOENT);
}

TEST(ack_that_makes_no_sense) {
  CHECK_EQ(find({}), kNoAck);
  CHECK_EQ(find(message(NLMSG_ERROR, kSequence, 0, 1)), kNoAck);
  CHECK_EQ(find(message(NLMSG_ERROR, kSequence, 0, sizeof(nlmsghdr))), kNoAck);
  CHECK_EQ(find(message(NLMSG_ERROR, kSequence, 0, ~0u)), kNoAck);
  CHECK_EQ(find(message(NLMSG_ERROR, kSequence, 5)), -EPROTO);
  auto cut = message(NLMSG_ERROR, kSequence, 0);
  while (!cut.empty()) {
    cut.pop_back();
    CHECK_EQ(find(cut), kNoAck);
  }
}

TEST(ack_looked_for_in_any_bytes) {
  std::mt19937 random(1);
  for (int round = 0; round < 100000; round++) {
    // On the heap and exactly that long, so that AddressSanitizer detects one byte too many.
    std::vector<uint8_t> bytes(random() % 64);
    for (uint8_t& byte : bytes)
      byte = static_cast<uint8_t>(random() % 4 == 0 ? random() : random() % 24);
    find(bytes);
  }
}

}  // namespace

}  // namespace deadpeer
