#pragma once

#include "core/failure.h"

namespace deadpeer {

// Drops the keepalive and window probes that a socket receives, and passes everything else: a
// filter as in filter.h, which undeafen() removes. A probe is a segment without payload whose
// sequence number is below the highest seen (RFC 9293 3.8.4). A pure ACK that arrives after later
// data looks the same. TCP does not need that ACK.
//
// It is an eBPF program, because a classic one keeps no state between segments: it requires
// CAP_BPF, or CAP_SYS_ADMIN before Linux 5.8, and CAP_NET_ADMIN.
Failure ignore_probes(int fd);

}  // namespace deadpeer
