#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>

#include "check.h"
#include "core/clock.h"
#include "core/options.h"
#include "core/socket.h"
#include "core/tune.h"
#include "loopback.h"
#include "profiles.h"

namespace deadpeer {

namespace {

// Settings that a caller may rehearse, and then apply without sampling the socket.
Settings rehearsed() {
  return without(one_profile(), kFailOnIcmp);
}

void check_all_refuse(int fd, int error) {
  Settings settings;
  CHECK_EQ(read(fd, &settings), error);
  check_refused(apply(fd, {one_profile(), false}), error, kNoOption);
  check_refused(apply(fd, {rehearsed(), true}), error, kNoOption);
  const Tuned tuned = tune(fd, {one_profile(), false}, 0, coarse_clock());
  CHECK(!tuned.held);
  CHECK(std::isnan(tuned.heard_at));
  check_refused(tuned.refusal, error, kNoOption);
}

void check_keepalive_is_off(const Descriptor& socket) {
  int value = -1;
  CHECK_EQ(get_int(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &value), 0);
  CHECK_EQ(value, 0);
}

void check_recverr_is_off(const Descriptor& socket) {
  int value = -1;
  CHECK_EQ(get_int(socket.get(), SOL_IP, IP_RECVERR, &value), 0);
  CHECK_EQ(value, 0);
}

TEST(closed_descriptor_is_refused) {
  check_all_refuse(-1, -EBADF);
  int closed;
  {
    const Descriptor socket = open_socket(Path::kIpv4);
    closed = socket.get();
  }
  check_all_refuse(closed, -EBADF);
}

TEST(file_and_pipe_are_refused) {
  const Descriptor file(open("/dev/null", O_RDWR | O_CLOEXEC));
  check_all_refuse(file.get(), -ENOTSOCK);
  int ends[2];
  CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Descriptor reader(ends[0]);
  const Descriptor writer(ends[1]);
  check_all_refuse(writer.get(), -ENOTSOCK);
}

TEST(udp_is_refused_and_unchanged) {
  const Descriptor udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  check_all_refuse(udp.get(), -ENOPROTOOPT);
  check_keepalive_is_off(udp);
  check_recverr_is_off(udp);
}

TEST(unix_is_refused_and_unchanged) {
  const Descriptor local(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  check_all_refuse(local.get(), -ENOPROTOOPT);
  check_keepalive_is_off(local);
}

TEST(raw_socket_of_protocol_tcp_is_refused_and_unchanged) {
  const Descriptor raw(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP));
  if (raw.get() < 0) SKIP_UNPRIVILEGED("raw sockets need CAP_NET_RAW");
  check_all_refuse(raw.get(), -ENOPROTOOPT);
  check_keepalive_is_off(raw);
  check_recverr_is_off(raw);
}

}  // namespace

}  // namespace deadpeer
