#include "core/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <sys/socket.h>

#include <cmath>
#include <initializer_list>

#include "check.h"
#include "core/socket.h"
#include "loopback.h"
#include "process.h"
#include "waiting.h"

namespace deadpeer {

namespace {

void ask(const Descriptor& socket) {
  CHECK_EQ(set_int(socket.get(), IPPROTO_TCP, TCP_KEEPIDLE, 1), 0);
}

TEST(deaf_peer_does_not_answer) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    CHECK_EQ(set_int(connection.client.get(), SOL_SOCKET, SO_KEEPALIVE, 1), 0);
    must_deafen(connection.server);
    await_silence(connection.client);
    for (int unanswered = 1; unanswered <= 3; unanswered++) {
      ask(connection.client);
      CHECK(eventually([&] { return info_of(connection.client).tcpi_probes == unanswered; }));
    }
    CHECK_EQ(undeafen(connection.server.get()), 0);
    ask(connection.client);
    CHECK(eventually([&] { return info_of(connection.client).tcpi_probes == 0; }));
    CHECK_EQ(info_of(connection.client).tcpi_state, kEstablished);
  }
}

TEST(deaf_peer_receives_what_was_sent_once_it_hears) {
  const Connection connection;
  must_deafen(connection.server);
  CHECK_EQ(send(connection.client.get(), "x", 1, 0), 1);
  CHECK(eventually([&] { return info_of(connection.client).tcpi_retransmits > 0; }));
  char byte = 0;
  CHECK_EQ(recv(connection.server.get(), &byte, 1, MSG_DONTWAIT), -1);
  CHECK_EQ(errno, EAGAIN);
  CHECK_EQ(undeafen(connection.server.get()), 0);
  CHECK_EQ(recv(connection.server.get(), &byte, 1, 0), 1);
  CHECK_EQ(byte, 'x');
}

TEST(deaf_socket_still_speaks) {
  const Connection connection;
  must_deafen(connection.server);
  CHECK_EQ(send(connection.server.get(), "x", 1, 0), 1);
  char byte = 0;
  CHECK_EQ(recv(connection.client.get(), &byte, 1, 0), 1);
}

TEST(undeafen_twice) {
  const Descriptor socket = open_socket(Path::kIpv4);
  must_deafen(socket);
  CHECK_EQ(undeafen(socket.get()), 0);
  CHECK_EQ(undeafen(socket.get()), -ENOENT);
}

TEST(undeafen_what_always_heard) {
  CHECK_EQ(undeafen(open_socket(Path::kIpv4).get()), -ENOENT);
}

TEST(deafen_twice_is_undone_at_once) {
  const Descriptor socket = open_socket(Path::kIpv4);
  must_deafen(socket);
  must_deafen(socket);
  CHECK_EQ(undeafen(socket.get()), 0);
  CHECK_EQ(undeafen(socket.get()), -ENOENT);
}

// Two ends of a local datagram socket: a datagram arrives before send() returns and is never sent
// again, so each is one trial of the filter.
struct Datagrams {
  Datagrams() {
    int ends[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
    sender.reset(ends[0]);
    receiver.reset(ends[1]);
  }

  bool arrives(size_t size) const {
    static char bytes[1 << 12];
    CHECK_EQ(send(sender.get(), bytes, size, 0), size);
    const ssize_t received = recv(receiver.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (received >= 0) CHECK_EQ(received, size);
    if (received < 0) CHECK_EQ(errno, EAGAIN);
    return received >= 0;
  }

  Descriptor sender{-1};
  Descriptor receiver{-1};
};

void must_lose(const Descriptor& socket, double share) {
  const int error = lose(socket.get(), share);
  if (error == -EPERM) SKIP("losing segments needs CAP_NET_ADMIN");
  CHECK_EQ(error, 0);
}

int count_lost(const Datagrams& datagrams, int sent) {
  int lost = 0;
  for (int i = 0; i < sent; i++) lost += !datagrams.arrives(1 + i % 4096);
  return lost;
}

TEST(share_lost_is_the_share_asked_for) {
  constexpr int kSent = 100000;
  const Datagrams datagrams;
  for (const double share : {0.001, 0.1, 0.5, 0.75, 0.999}) {
    must_lose(datagrams.receiver, share);
    const int lost = count_lost(datagrams, kSent);
    // Binomial. A deviation of more than five standard deviations occurs once in 1.7 million runs.
    const double deviation = std::sqrt(kSent * share * (1 - share));
    if (std::fabs(lost - kSent * share) > 5 * deviation) FAIL("%g: %d lost", share, lost);
  }
}

TEST(share_of_none_and_of_all_are_exact) {
  constexpr int kSent = 10000;
  const Datagrams datagrams;
  must_lose(datagrams.receiver, 0);
  CHECK_EQ(count_lost(datagrams, kSent), 0);
  must_lose(datagrams.receiver, 1);
  CHECK_EQ(count_lost(datagrams, kSent), kSent);
  // Values that round to none and to all.
  must_lose(datagrams.receiver, 1e-12);
  CHECK_EQ(count_lost(datagrams, kSent), 0);
  must_lose(datagrams.receiver, 1 - 1e-12);
  CHECK_EQ(count_lost(datagrams, kSent), kSent);
}

TEST(one_instruction_is_enough_to_lose_all) {
  const Descriptor socket = open_socket(Path::kIpv4);
  // The kernel returns the number of instructions of the attached program; 0 if there is none.
  const auto instructions = [&] {
    socklen_t count = 0;
    CHECK_EQ(getsockopt(socket.get(), SOL_SOCKET, SO_GET_FILTER, nullptr, &count), 0);
    return count;
  };
  CHECK_EQ(instructions(), 0);
  must_lose(socket, 0.5);
  CHECK_EQ(instructions(), 4);
  must_lose(socket, 1);
  CHECK_EQ(instructions(), 1);
  CHECK_EQ(undeafen(socket.get()), 0);
  CHECK_EQ(instructions(), 0);
}

// A filter that keeps part of a segment would cut it at TCP sockets too.
TEST(segments_that_are_kept_are_kept_whole) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    must_lose(connection.server, 0);
    // Fits into one segment. If it were cut, the rest would have to come in other segments.
    static char bytes[1 << 14];
    CHECK_EQ(send(connection.client.get(), bytes, sizeof(bytes), 0), sizeof(bytes));
    CHECK_EQ(recv(connection.server.get(), bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
    CHECK_EQ(info_of(connection.server).tcpi_data_segs_in, 1);
  }
}

TEST(what_is_no_share_changes_nothing) {
  const Descriptor socket = open_socket(Path::kIpv4);
  for (const double share : {-0.1, 1.1, -1e-300, HUGE_VAL, std::nan("")}) {
    CHECK_EQ(lose(socket.get(), share), -EINVAL);
  }
  CHECK_EQ(undeafen(socket.get()), -ENOENT);
}

TEST(drops_are_counted_by_the_segment) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    const auto drops = [&] {
      uint32_t count = 0;
      CHECK_EQ(read_drops(connection.server.get(), &count), 0);
      return count;
    };
    CHECK_EQ(drops(), 0);
    must_deafen(connection.server);
    CHECK_EQ(set_int(connection.client.get(), SOL_SOCKET, SO_KEEPALIVE, 1), 0);
    // If a busy machine loses a probe on the way, another follows a second later.
    CHECK_EQ(set_int(connection.client.get(), IPPROTO_TCP, TCP_KEEPINTVL, 1), 0);
    await_silence(connection.client);
    for (uint32_t sent = 1; sent <= 3; sent++) {
      ask(connection.client);
      CHECK(eventually([&] { return drops() == sent; }));
    }
    let_ticks_pass();
    CHECK_EQ(drops(), 3);
    CHECK_EQ(undeafen(connection.server.get()), 0);
  }
}

TEST(deafen_without_privileges) {
  const Descriptor socket = open_socket(Path::kIpv4);
  give_up_privileges();
  const int error = deafen(socket.get());
  if (error == 0) SKIP("this kernel lets anyone make a socket deaf");
  CHECK_EQ(error, -EPERM);
  CHECK_EQ(undeafen(socket.get()), -ENOENT);
}

TEST(deafen_what_is_no_socket) {
  CHECK_EQ(deafen(-1), -EBADF);
  CHECK_EQ(undeafen(-1), -EBADF);
  const Descriptor file(open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK_EQ(deafen(file.get()), -ENOTSOCK);
  CHECK_EQ(undeafen(file.get()), -ENOTSOCK);
}

TEST(lose_at_what_is_no_socket) {
  uint32_t drops = 0;
  CHECK_EQ(lose(-1, 0.5), -EBADF);
  CHECK_EQ(read_drops(-1, &drops), -EBADF);
  const Descriptor file(open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK_EQ(lose(file.get(), 0.5), -ENOTSOCK);
  CHECK_EQ(read_drops(file.get(), &drops), -ENOTSOCK);
}

}  // namespace

}  // namespace deadpeer
