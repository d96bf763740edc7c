import type { NativeCore } from './binding.js'
import { descriptorError } from './options.js'

/**
 * What the kernel counts for one connection: `struct tcp_info`, tcp(7). Named after the kernel's fields. A field
 * that this kernel does not have is `undefined`, never 0.
 */
export interface TcpInfo {
  /** Connection state: 1 ESTABLISHED, 2 SYN_SENT, 3 SYN_RECV, 4 FIN_WAIT1, 5 FIN_WAIT2, 6 TIME_WAIT, 7 CLOSE, 8 CLOSE_WAIT, 9 LAST_ACK, 10 LISTEN, 11 CLOSING. */
  readonly state: number
  /** Congestion state: 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss. */
  readonly caState: number
  /** Retransmissions by timeout of the oldest unacknowledged segment. */
  readonly retransmits: number
  /** Unanswered probes, of keepalive or of a closed window. */
  readonly probes: number
  /** How often the retransmission timeout has been doubled. */
  readonly backoff: number
  /** Retransmission timeout, µs. */
  readonly rto: number
  /** Segments sent and not acknowledged; of a listener, connections waiting to be accepted. */
  readonly unacked: number
  /** Segments that the peer has selectively acknowledged; of a listener, the backlog's size. */
  readonly sacked: number
  /** Segments taken for lost. */
  readonly lost: number
  /** Segments retransmitted and not yet acknowledged. */
  readonly retrans: number
  /** ms since data was last sent. */
  readonly lastDataSent: number
  /** ms since data last came. */
  readonly lastDataRecv: number
  /** ms since an acknowledgement last came. Counts in the kernel's ticks (4 ms at HZ=250). */
  readonly lastAckRecv: number
  /** Path MTU, bytes. */
  readonly pmtu: number
  /** Smoothed round-trip time, µs. */
  readonly rtt: number
  /** Its mean deviation, µs. */
  readonly rttvar: number
  /** Congestion window, segments. */
  readonly sndCwnd: number
  /** Segments retransmitted in all. */
  readonly totalRetrans: number
  /** Bytes acknowledged by the peer (Linux 4.1). */
  readonly bytesAcked: number | undefined
  /** Bytes received (Linux 4.1). */
  readonly bytesReceived: number | undefined
  /** Segments sent (Linux 4.2). */
  readonly segsOut: number | undefined
  /** Segments received: the exact witness that the peer was heard (Linux 4.2). */
  readonly segsIn: number | undefined
  /** Bytes queued and not sent (Linux 4.6). */
  readonly notsentBytes: number | undefined
  /** Lowest round-trip time seen, µs (Linux 4.6). */
  readonly minRtt: number | undefined
  /** The window that the peer announced, bytes (Linux 5.4). */
  readonly sndWnd: number | undefined
}

type Width = 1 | 4 | 8

/** Offset and width in struct tcp_info (linux/tcp.h). */
const layout: { readonly [Field in keyof TcpInfo]: readonly [offset: number, width: Width] } = {
  state: [0, 1],
  caState: [1, 1],
  retransmits: [2, 1],
  probes: [3, 1],
  backoff: [4, 1],
  rto: [8, 4],
  unacked: [24, 4],
  sacked: [28, 4],
  lost: [32, 4],
  retrans: [36, 4],
  lastDataSent: [44, 4],
  lastDataRecv: [52, 4],
  lastAckRecv: [56, 4],
  pmtu: [60, 4],
  rtt: [68, 4],
  rttvar: [72, 4],
  sndCwnd: [80, 4],
  totalRetrans: [100, 4],
  bytesAcked: [120, 8],
  bytesReceived: [128, 8],
  segsOut: [136, 4],
  segsIn: [140, 4],
  notsentBytes: [144, 4],
  minRtt: [148, 4],
  sndWnd: [228, 4],
}

/** Room for every tcp_info so far (280 bytes in Linux 6.18), and some to come. */
const CAPACITY = 512

/** Reads TCP_INFO of a descriptor. */
export function readTcpInfo(core: NativeCore, fd: number): TcpInfo {
  const bytes = new Uint8Array(CAPACITY)
  const length = core.readTcpInfo(fd, bytes)
  if (length < 0) throw descriptorError(length, fd)
  return decodeTcpInfo(bytes.subarray(0, length))
}

/** Decodes by length: what the kernel did not fill in is `undefined`. */
export function decodeTcpInfo(bytes: Uint8Array): TcpInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const fields = Object.entries(layout).map(([field, [offset, width]]) => [
    field,
    offset + width <= bytes.length ? read(view, offset, width) : undefined,
  ])
  return Object.fromEntries(fields) as TcpInfo
}

// The kernel writes in the machine's byte order, which is little-endian wherever Node runs on Linux
// but for s390x.
const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

function read(view: DataView, offset: number, width: Width): number {
  if (width === 1) return view.getUint8(offset)
  if (width === 4) return view.getUint32(offset, littleEndian)
  return Number(view.getBigUint64(offset, littleEndian))
}
