#include "core/addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

#include "check.h"
#include "loopback.h"
#include "waiting.h"

namespace deadpeer {

namespace {

std::string text(const Address& address) {
  char words[INET6_ADDRSTRLEN];
  CHECK(inet_ntop(address.family, address.bytes, words, sizeof(words)) != nullptr);
  return words;
}

uint16_t port_of(const Descriptor& socket) {
  sockaddr_in6 name = {};
  socklen_t length = sizeof(name);
  CHECK_EQ(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &length), 0);
  // At the same offset in both families.
  return ntohs(name.sin6_port);
}

const char* expected(Path path) {
  return path == Path::kIpv4 ? "127.0.0.1" : path == Path::kIpv6 ? "::1" : "::ffff:127.0.0.1";
}

void check_addresses(const Descriptor& socket, Path path, uint16_t local, uint16_t remote) {
  Addresses addresses;
  CHECK_EQ(read_addresses(socket.get(), &addresses), 0);
  CHECK_EQ(addresses.local.family, path == Path::kIpv4 ? AF_INET : AF_INET6);
  CHECK_EQ(addresses.remote.family, addresses.local.family);
  CHECK(text(addresses.local) == expected(path));
  CHECK(text(addresses.remote) == expected(path));
  CHECK_EQ(addresses.local.port, local);
  CHECK_EQ(addresses.remote.port, remote);
  CHECK_EQ(addresses.local.zone[0], '\0');
}

TEST(addresses_of_both_ends) {
  for (const Path path : kPaths) {
    const Connection connection(path);
    const uint16_t client = port_of(connection.client);
    const uint16_t server = port_of(connection.server);
    check_addresses(connection.client, path, client, server);
    check_addresses(connection.server, path, server, client);
  }
}

TEST(addresses_of_a_connection_that_the_kernel_has_ended) {
  for (const Path path : kPaths) {
    Connection connection(path);
    const uint16_t client = port_of(connection.client);
    const linger reset = {1, 0};
    CHECK_EQ(setsockopt(connection.client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    connection.client.reset();
    CHECK(eventually([&] { return info_of(connection.server).tcpi_state == kClose; }));
    sockaddr_storage name;
    socklen_t length = sizeof(name);
    CHECK_EQ(getpeername(connection.server.get(), reinterpret_cast<sockaddr*>(&name), &length), -1);
    check_addresses(connection.server, path, port_of(connection.listener), client);
  }
}

TEST(addresses_of_what_is_no_connection) {
  Addresses addresses;
  CHECK_EQ(read_addresses(-1, &addresses), -EBADF);
  const Descriptor unconnected = open_socket(Path::kIpv4);
  CHECK_EQ(read_addresses(unconnected.get(), &addresses), -ENOTCONN);
  const Descriptor local(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK_EQ(read_addresses(local.get(), &addresses), -EAFNOSUPPORT);
}

}  // namespace

}  // namespace deadpeer
