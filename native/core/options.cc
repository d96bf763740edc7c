#include "core/options.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <climits>

#include "core/descriptor.h"
#include "core/socket.h"

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44  // Linux 6.15
#endif

namespace deadpeer {

const std::array<OptionSpec, kOptionCount> kOptions = {{
    {"enable", "SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, 1, 0, 1},
    {"initialDelay", "TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, 1000, 1000, 32767000},
    {"interval", "TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, 1000, 1000, 32767000},
    {"count", "TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, 1, 1, 127},
    {"userTimeout", "TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, 1, 0, INT_MAX},
    {"synCount", "TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT, 1, 1, 127},
    {"rtoMax", "TCP_RTO_MAX_MS", IPPROTO_TCP, TCP_RTO_MAX_MS, 1, 1000, 120000},
    {"failOnIcmp", "IP_RECVERR", SOL_IP, IP_RECVERR, 1, 0, 1},
}};

namespace {

// The order of writing. First the options that a socket may refuse. An MPTCP socket accepts none of
// them. After its fallback to plain TCP it accepts all but TCP_RTO_MAX_MS. TCP_KEEPIDLE comes last:
// on a connection that has been idle for longer it makes the kernel send a probe at once. By then
// the options that decide whether the probe can end the connection must be in force.
constexpr std::array<Option, kOptionCount> kWriteOrder = {
    kFailOnIcmp, kRtoMax, kUserTimeout, kSynCount, kInterval, kCount, kEnable, kInitialDelay,
};

// An IPv6 socket carries IPv4 connections too, unless it is IPV6_V6ONLY. So failOnIcmp is written
// at both levels there.
WriteList plan_writes(const Settings& settings, int family) {
  WriteList list;
  const auto add = [&list](const Write& write) { list.writes[list.size++] = write; };
  for (const Option option : kWriteOrder) {
    if (!settings.has(option)) continue;
    const OptionSpec& spec = kOptions[option];
    const int value = static_cast<int>(settings.value[option] / spec.unit);
    if (option == kFailOnIcmp && family == AF_INET6) {
      add({option, SOL_IPV6, IPV6_RECVERR, value});
    }
    add({option, spec.level, spec.option, value});
  }
  return list;
}

// The errnos for an option that is missing, in the kernel or because a sandbox hides it.
bool is_lacking(int error) {
  return error == -ENOPROTOOPT || error == -EOPNOTSUPP || error == -EINVAL || error == -EPERM ||
         error == -EACCES;
}

Refusal apply_known_good(int fd, const WriteList& list) {
  OptionMask written = 0;
  for (size_t i = 0; i < list.size; i++) {
    const Write& write = list.writes[i];
    if (int error = set_int(fd, write.level, write.name, write.value)) {
      SocketKind kind;
      if (int fault = read_kind(fd, &kind)) return {fault, kNoOption, written};
      return {error, write.option, written};
    }
    written = static_cast<OptionMask>(written | bit(write.option));
  }
  return {};
}

Refusal apply_or_roll_back(int fd, const Settings& settings) {
  SocketKind kind;
  if (int error = read_kind(fd, &kind)) return {error, kNoOption};
  const WriteList list = plan_writes(settings, kind.family);
  std::array<int, kOptionCount + 1> before = {};
  for (size_t at = 0; at < list.size; at++) {
    const Write& write = list.writes[at];
    int error = get_int(fd, write.level, write.name, &before[at]);
    // If a socket lacks an option, kernels answer a read with EOPNOTSUPP, a write with ENOPROTOOPT.
    if (error == -EOPNOTSUPP) error = -ENOPROTOOPT;
    if (error == 0) error = set_int(fd, write.level, write.name, write.value);
    if (error == 0) continue;
    for (size_t back = at; back-- > 0;) {
      const Write& done = list.writes[back];
      set_int(fd, done.level, done.name, before[back]);
    }
    return {error, write.option};
  }
  return {};
}

}  // namespace

Refusal check(const Settings& settings) {
  for (int i = 0; i < kOptionCount; i++) {
    const Option option = static_cast<Option>(i);
    if (!settings.has(option)) continue;
    const OptionSpec& spec = kOptions[option];
    const int64_t value = settings.value[option];
    if (value < spec.min || value > spec.max || value % spec.unit != 0) return {-EINVAL, option};
  }
  return {};
}

bool refused_first_or_never(const Settings& settings) {
  const bool refusable =
      settings.has(kRtoMax) || settings.has(kUserTimeout) || settings.has(kSynCount);
  // failOnIcmp depends on the address family, and is accepted where rtoMax may still be refused.
  return refusable && !settings.has(kFailOnIcmp);
}

Prepared::Prepared(const Settings& wanted, bool is_known_good)
    : settings(wanted), known_good(is_known_good), writes(plan_writes(wanted, AF_INET)) {}

Refusal apply(int fd, const Prepared& prepared) {
  return prepared.known_good ? apply_known_good(fd, prepared.writes)
                             : apply_or_roll_back(fd, prepared.settings);
}

Refusal rehearse(const Settings& settings) {
  const Descriptor scratch(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
  if (scratch.get() < 0) return {-errno, kNoOption};
  return apply_or_roll_back(scratch.get(), settings);
}

int read(int fd, Settings* settings) {
  SocketKind kind;
  if (int error = read_kind(fd, &kind)) return error;
  for (int i = 0; i < kOptionCount; i++) {
    const Option option = static_cast<Option>(i);
    const OptionSpec& spec = kOptions[option];
    int value = 0;
    int error = get_int(fd, spec.level, spec.option, &value);
    if (error == 0 && option == kFailOnIcmp && kind.family == AF_INET6) {
      int v6 = 0;
      error = get_int(fd, SOL_IPV6, IPV6_RECVERR, &v6);
      value = value != 0 && v6 != 0;
    }
    if (is_lacking(error)) continue;
    if (error != 0) return error;
    settings->set(option, int64_t{value} * spec.unit);
  }
  return 0;
}

int get_in_kernel_unit(int fd, Option option, int* value) {
  return get_int(fd, kOptions[option].level, kOptions[option].option, value);
}

int set_in_kernel_unit(int fd, Option option, int value) {
  return set_int(fd, kOptions[option].level, kOptions[option].option, value);
}

}  // namespace deadpeer
