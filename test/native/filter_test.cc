#include "core/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <sys/socket.h>

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

}  // namespace

}  // namespace deadpeer
