#include <linux/tcp.h>
#include <sys/socket.h>

#include "check.h"
#include "core/options.h"
#include "core/socket.h"
#include "loopback.h"
#include "profiles.h"

namespace deadpeer {

namespace {

TEST(accepted_connections_inherit_everything) {
  for (const Path path : kPaths) {
    const Descriptor listener = listen_on(path);
    check_applied(listener, one_profile());
    const Descriptor client = connect_to(listener);
    const Descriptor server = accept_from(listener);
    check_reads_back(server, one_profile());
  }
}

TEST(accepted_connections_inherit_both_levels_of_fail_on_icmp) {
  const Descriptor listener = listen_on(Path::kMapped);
  check_applied(listener, profile({{kFailOnIcmp, 1}}));
  const Descriptor client = connect_to(listener);
  const Descriptor server = accept_from(listener);
  int v4 = 0;
  int v6 = 0;
  CHECK_EQ(get_int(server.get(), SOL_IP, IP_RECVERR, &v4), 0);
  CHECK_EQ(get_int(server.get(), SOL_IPV6, IPV6_RECVERR, &v6), 0);
  CHECK_EQ(v4, 1);
  CHECK_EQ(v6, 1);
}

// A connection inherits what the listener had when the handshake completed, not at accept().
TEST(connections_waiting_to_be_accepted_keep_the_old_values) {
  for (const Path path : kPaths) {
    const Descriptor listener = listen_on(path);
    check_applied(listener, one_profile());
    const Descriptor early_client = connect_to(listener);
    await_acceptable(listener);
    check_applied(listener, another_profile());
    const Descriptor late_client = connect_to(listener);
    const Descriptor early = accept_from(listener);
    const Descriptor late = accept_from(listener);
    check_reads_back(early, one_profile());
    check_reads_back(late, another_profile());
  }
}

TEST(connecting_side_inherits_nothing) {
  const Descriptor listener = listen_on(Path::kIpv4);
  const Settings fresh = read_all(open_socket(Path::kIpv4));
  check_applied(listener, one_profile());
  check_reads_back(connect_to(listener), fresh);
}

}  // namespace

}  // namespace deadpeer
