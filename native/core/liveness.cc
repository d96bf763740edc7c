#include "core/liveness.h"

#include <errno.h>
#include <linux/tcp.h>

#include <algorithm>
#include <array>

#include "core/clock.h"
#include "core/socket.h"
#include "core/tcp_info.h"

namespace deadpeer {

namespace {

constexpr std::array<Option, 5> kAskingOrder = {kUserTimeout, kCount, kInterval, kEnable,
                                                kInitialDelay};

int set_option(int fd, Option option, int64_t value) {
  const OptionSpec& spec = kOptions[option];
  return set_int(fd, spec.level, spec.option, static_cast<int>(value / spec.unit));
}

}  // namespace

int identify(int fd, uint64_t* cookie, uint8_t* state) {
  static_assert(offsetof(tcp_info, tcpi_state) == 0 && sizeof(tcp_info::tcpi_state) == 1);
  if (int error = read_cookie(fd, cookie)) return error;
  const int length = read_tcp_info(fd, state, sizeof(*state));
  return length < 0 ? length : 0;
}

int look(int fd, uint64_t cookie, Look* out) {
  if (cookie != 0) {
    if (int error = check_cookie(fd, cookie)) return error;
  }
  tcp_info info = {};
  const int length = read_tcp_info(fd, &info, offsetof(tcp_info, tcpi_min_rtt));
  if (length < 0) return length;
  out->state = info.tcpi_state;
  out->probes = info.tcpi_probes;
  out->retransmits = info.tcpi_retransmits;
  out->unacked = info.tcpi_unacked;
  out->not_sent = info.tcpi_notsent_bytes;
  out->seen_at = coarse_clock();
  out->heard_at = out->seen_at - std::min(info.tcpi_last_data_recv, info.tcpi_last_ack_recv);
  out->rto = info.tcpi_rto / 1e3;
  out->data_at = out->seen_at - std::min(info.tcpi_last_data_sent, info.tcpi_last_data_recv);
  return 0;
}

int read_keepalive(int fd, Settings* settings) {
  for (const Option option : kAskingOrder) {
    const OptionSpec& spec = kOptions[option];
    int value;
    const int error = get_int(fd, spec.level, spec.option, &value);
    // MPTCP has no TCP_USER_TIMEOUT.
    if (error == -ENOPROTOOPT || error == -EOPNOTSUPP) continue;
    if (error != 0) return error;
    settings->set(option, int64_t{value} * spec.unit);
  }
  return 0;
}

Refusal write_keepalive(int fd, const Settings& before, const Settings& wanted, Order order) {
  auto options = kAskingOrder;
  if (order == Order::kStop) std::reverse(options.begin(), options.end());
  for (size_t at = 0; at < options.size(); at++) {
    const Option option = options[at];
    if (!wanted.has(option)) continue;
    const int error = set_option(fd, option, wanted.value[option]);
    if (error == 0) continue;
    for (size_t back = at; back-- > 0;) {
      const Option done = options[back];
      if (wanted.has(done) && before.has(done)) set_option(fd, done, before.value[done]);
    }
    return {error, option};
  }
  return {};
}

}  // namespace deadpeer
