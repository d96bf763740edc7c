#include "core/tcp_info.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/socket.h"

namespace deadpeer {

namespace {

// Connection states as tcp_info reports them (include/net/tcp_states.h; linux/tcp.h does not export
// them to user space).
enum State : uint8_t {
  kSynSent = 2,
  kSynRecv = 3,
  kTimeWait = 6,
  kClose = 7,
  kListen = 10,
};

template <typename Number>
double load(const unsigned char* bytes) {
  Number value;
  memcpy(&value, bytes, sizeof(value));
  return static_cast<double>(value);
}

double read_field(const unsigned char* bytes, const Field& field) {
  const unsigned char* at = bytes + field.offset;
  switch (field.width) {
    case 1:
      return field.bits == 0 ? *at : (*at >> field.shift) & ((1 << field.bits) - 1);
    case 2:
      return load<uint16_t>(at);
    case 4:
      return load<uint32_t>(at);
    default:
      return load<uint64_t>(at);
  }
}

}  // namespace

int read_tcp_info(int fd, void* bytes, size_t capacity) {
  socklen_t length = static_cast<socklen_t>(capacity);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, bytes, &length) != 0) return -errno;
  return static_cast<int>(length);
}

bool is_sound(const Field& field) {
  const uint32_t width = field.width;
  if (width != 1 && width != 2 && width != 4 && width != 8) return false;
  if (width > field.length || field.offset > field.length - width) return false;
  return field.bits == 0 || (width == 1 && field.bits <= 8 && field.shift <= 8 - field.bits);
}

void pick_fields(const unsigned char* bytes, int length, const Field* fields, size_t count,
                 double* out) {
  for (size_t i = 0; i < count; i++) {
    const bool there = length >= 0 && fields[i].length <= static_cast<uint32_t>(length);
    out[i] = there ? read_field(bytes, fields[i]) : std::numeric_limits<double>::quiet_NaN();
  }
}

int take_error(int fd, int* error) {
  uint8_t state = 0;
  const int length = read_tcp_info(fd, &state, sizeof(state));
  if (length < 0) return length;
  if (state != kClose) return -EISCONN;
  return get_int(fd, SOL_SOCKET, SO_ERROR, error);
}

int read_quiet(int fd, Quiet* quiet) {
  tcp_info info = {};
  // Reads up to total_retrans, which every kernel has. A shorter read costs less.
  const int length = read_tcp_info(fd, &info, offsetof(tcp_info, tcpi_pacing_rate));
  if (length < 0) return length;
  const uint8_t state = info.tcpi_state;
  quiet->connecting = state == kSynSent || state == kSynRecv;
  quiet->synchronized =
      !quiet->connecting && state != kTimeWait && state != kClose && state != kListen;
  quiet->in_trouble = info.tcpi_probes != 0 || info.tcpi_retransmits != 0 || info.tcpi_backoff != 0;
  // The kernel's own measure for keepalive (keepalive_time_elapsed): the later of the two.
  quiet->silent_for = std::min(info.tcpi_last_data_recv, info.tcpi_last_ack_recv);
  return 0;
}

}  // namespace deadpeer
