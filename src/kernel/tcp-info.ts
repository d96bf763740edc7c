import { release } from 'node:os'
import { inspect } from 'node:util'
import type { NativeCore } from './binding.js'
import { descriptorError, orThrow } from './failure.js'
import { layoutOf, type Place } from './tcp-info-layout.js'

/**
 * The values of {@link TcpInfo.state}, under the names of RFC 9293.
 *
 * @example
 * ```ts
 * inspect(socket).info?.state === TcpState.CLOSE_WAIT // the peer has closed its side
 * ```
 */
export const TcpState = Object.freeze({
  ESTABLISHED: 1,
  SYN_SENT: 2,
  SYN_RECV: 3,
  FIN_WAIT1: 4,
  FIN_WAIT2: 5,
  TIME_WAIT: 6,
  CLOSE: 7,
  CLOSE_WAIT: 8,
  LAST_ACK: 9,
  LISTEN: 10,
  CLOSING: 11,
})

/**
 * The kernel's counters of one connection: `struct tcp_info`, tcp(7), up to Linux 6.18. The names follow the kernel's. A field that this kernel
 * does not have is `undefined`, never 0. 64-bit fields are exact up to 2^53.
 *
 * `console.log` shows the eight fields that tell whether the peer is alive, with the state as a word. `console.log({ ...info })` shows all.
 */
export interface TcpInfo {
  /** Connection state, a value of {@link TcpState}: 1 is ESTABLISHED. */
  readonly state: number
  /** Congestion state: 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss. */
  readonly caState: number
  /** Retransmissions by timeout of the oldest unacknowledged segment. */
  readonly retransmits: number
  /** Unanswered probes, of keepalive or of a closed window. */
  readonly probes: number
  /** How often the retransmission timeout has been doubled. */
  readonly backoff: number
  /** Bits: 1 timestamps, 2 SACK, 4 window scaling, 8 ECN, 16 ECN seen, 32 SYN data, 64 µs timestamps, 128 Fast Open child. */
  readonly options: number
  /** Window scale of the peer, a power of two. */
  readonly sndWscale: number
  /** Window scale of this side, a power of two. */
  readonly rcvWscale: number
  /** 1 if the program limited {@link deliveryRate}, not the path (Linux 4.9). */
  readonly deliveryRateAppLimited: number | undefined
  /** Why Fast Open was not used: 0 unknown, 1 no cookie, 2 SYN data not acknowledged, 3 SYN retransmitted (Linux 5.5). `undefined` before Linux
   * 6.2, because the length of older structures does not show whether they have it. */
  readonly fastopenClientFail: number | undefined
  /** Retransmission timeout, µs. */
  readonly rto: number
  /** Delayed acknowledgement timeout, µs. */
  readonly ato: number
  /** Maximum segment size for sending, bytes. */
  readonly sndMss: number
  /** Maximum segment size seen in receiving, bytes. */
  readonly rcvMss: number
  /** Segments sent and not acknowledged. For a listener: connections that wait to be accepted. */
  readonly unacked: number
  /** Segments that the peer has selectively acknowledged. For a listener: the size of the backlog. */
  readonly sacked: number
  /** Segments that the kernel considers lost. */
  readonly lost: number
  /** Segments retransmitted and not yet acknowledged. */
  readonly retrans: number
  /** Forward acknowledgements. 0 in current kernels. */
  readonly fackets: number
  /** ms since data was last sent. */
  readonly lastDataSent: number
  /** Always 0: the kernel does not record it. */
  readonly lastAckSent: number
  /** ms since data was last received. */
  readonly lastDataRecv: number
  /** ms since an acknowledgement was last received, to the kernel's tick (4 ms at HZ=250). */
  readonly lastAckRecv: number
  /** Path MTU, bytes. */
  readonly pmtu: number
  /** Slow start threshold for receiving, bytes. */
  readonly rcvSsthresh: number
  /** Smoothed round-trip time, µs. */
  readonly rtt: number
  /** Mean deviation of the round-trip time, µs. */
  readonly rttvar: number
  /** Slow start threshold for sending, segments. 2^31 − 1: none. */
  readonly sndSsthresh: number
  /** Congestion window, segments. */
  readonly sndCwnd: number
  /** Maximum segment size advertised to the peer, bytes. */
  readonly advmss: number
  /** How many segments may arrive out of order before the kernel considers one lost. */
  readonly reordering: number
  /** Round-trip time estimated by the receiver, µs. */
  readonly rcvRtt: number
  /** Receive buffer space, which the kernel adapts to how much the program reads, bytes. */
  readonly rcvSpace: number
  /** Segments retransmitted in total. */
  readonly totalRetrans: number
  /** Pacing rate, bytes per second. 2^64 − 1: unlimited (Linux 3.15). */
  readonly pacingRate: number | undefined
  /** Limit of the pacing rate, SO_MAX_PACING_RATE, bytes per second. 2^64 − 1: none (Linux 3.15). */
  readonly maxPacingRate: number | undefined
  /** Bytes acknowledged by the peer (Linux 4.1). */
  readonly bytesAcked: number | undefined
  /** Bytes received and acknowledged (Linux 4.1). */
  readonly bytesReceived: number | undefined
  /** Segments sent (Linux 4.2). */
  readonly segsOut: number | undefined
  /** Segments received: it increases each time the peer is heard (Linux 4.2). */
  readonly segsIn: number | undefined
  /** Bytes queued and not sent (Linux 4.6). */
  readonly notsentBytes: number | undefined
  /** Lowest recent round-trip time, µs (Linux 4.6). */
  readonly minRtt: number | undefined
  /** Segments with data received (Linux 4.6). */
  readonly dataSegsIn: number | undefined
  /** Segments with data sent (Linux 4.6). */
  readonly dataSegsOut: number | undefined
  /** Most recent delivery rate, bytes per second (Linux 4.9). */
  readonly deliveryRate: number | undefined
  /** Time spent with data to send, µs (Linux 4.10). */
  readonly busyTime: number | undefined
  /** Part of `busyTime` spent waiting for the peer's window, µs (Linux 4.10). */
  readonly rwndLimited: number | undefined
  /** Part of `busyTime` limited by the send buffer, µs (Linux 4.10). */
  readonly sndbufLimited: number | undefined
  /** Data segments delivered, retransmitted ones included (Linux 4.18). */
  readonly delivered: number | undefined
  /** Delivered data segments that were marked by ECN (Linux 4.18). */
  readonly deliveredCe: number | undefined
  /** Bytes of data sent, retransmitted ones included (Linux 4.19). */
  readonly bytesSent: number | undefined
  /** Bytes of data retransmitted (Linux 4.19). */
  readonly bytesRetrans: number | undefined
  /** Segments that the peer reported as duplicates (Linux 4.19). */
  readonly dsackDups: number | undefined
  /** How often reordering occurred (Linux 4.19). */
  readonly reordSeen: number | undefined
  /** Segments received out of order (Linux 5.4). */
  readonly rcvOoopack: number | undefined
  /** The window that the peer announced, bytes (Linux 5.4). */
  readonly sndWnd: number | undefined
  /** The window announced to the peer, bytes (Linux 6.2). */
  readonly rcvWnd: number | undefined
  /** How often the kernel tried another path, by a new flow label (Linux 6.2). */
  readonly rehash: number | undefined
  /** Retransmission timeouts in total (Linux 6.7). */
  readonly totalRto: number | undefined
  /** Recoveries from retransmission timeouts in total (Linux 6.7). */
  readonly totalRtoRecoveries: number | undefined
  /** Time spent in recoveries from retransmission timeouts, ms (Linux 6.7). */
  readonly totalRtoTime: number | undefined
  /** Segments received that were marked by ECN (Linux 6.18). */
  readonly receivedCe: number | undefined
  /** Bytes delivered marked ECT(1), by Accurate ECN (Linux 6.18). */
  readonly deliveredE1Bytes: number | undefined
  /** Bytes delivered marked ECT(0) (Linux 6.18). */
  readonly deliveredE0Bytes: number | undefined
  /** Bytes delivered marked CE (Linux 6.18). */
  readonly deliveredCeBytes: number | undefined
  /** Bytes received marked ECT(1) (Linux 6.18). */
  readonly receivedE1Bytes: number | undefined
  /** Bytes received marked ECT(0) (Linux 6.18). */
  readonly receivedE0Bytes: number | undefined
  /** Bytes received marked CE (Linux 6.18). */
  readonly receivedCeBytes: number | undefined
  /** Why Accurate ECN failed, as bits (Linux 6.18; moved in 7.0). */
  readonly accecnFailMode: number | undefined
  /** Whether the Accurate ECN option was seen (Linux 6.18; moved in 7.0). */
  readonly accecnOptSeen: number | undefined
}

/** The name of one of the kernel's counters, for {@link sampleTcpInfo}. */
export type TcpInfoField = keyof TcpInfo

/** The time since the peer was last heard, in ms, computed as the kernel's keepalive does. */
export function silentFor({
  lastDataRecv,
  lastAckRecv,
}: Pick<TcpInfo, 'lastDataRecv' | 'lastAckRecv'>): number {
  return Math.min(lastDataRecv, lastAckRecv)
}

/** Whether the kernel has ended a connection because its peer did not answer. These counters do not tell a reset from an orderly close. */
export function isGivenUp({
  state,
  probes,
  retransmits,
}: Pick<TcpInfo, 'state' | 'probes' | 'retransmits'>): boolean {
  return state === TcpState.CLOSE && (probes > 0 || retransmits > 0)
}

type Layout = Readonly<Record<TcpInfoField, Place>>

let own: Layout | undefined

/** The layout of the running kernel. */
export function ownLayout(): Layout {
  own ??= layoutOf(release())
  return own
}

/** Large enough for every tcp_info so far (280 bytes in Linux 6.18) and for later ones. */
const CAPACITY = 512

/** Reads TCP_INFO of a descriptor. */
export function readTcpInfo(core: NativeCore, fd: number): TcpInfo {
  const bytes = new Uint8Array(CAPACITY)
  const length = orThrow(core.readTcpInfo(fd, bytes), ({ errno }) => descriptorError(errno, fd))
  return decodeTcpInfo(bytes.subarray(0, length))
}

/** Decodes as many fields as the length covers. Fields that the kernel did not fill in are `undefined`; unknown fields at the end are ignored. */
export function decodeTcpInfo(bytes: Uint8Array, layout = ownLayout()): TcpInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const info = Object.create(prototype) as Partial<Record<TcpInfoField, number | undefined>>
  for (const field of Object.keys(layout) as TcpInfoField[]) {
    info[field] = readTcpInfoField(view, 0, bytes.byteLength, field, layout)
  }
  return info as TcpInfo
}

/** The fields that `console.log` shows beside the state: they tell whether the peer is alive, and the round-trip time. */
const shown = [
  'probes',
  'retransmits',
  'unacked',
  'notsentBytes',
  'lastDataRecv',
  'lastAckRecv',
  'rtt',
] as const satisfies TcpInfoField[]

const stateNames = Object.fromEntries(Object.entries(TcpState).map(([name, state]) => [state, name]))

const prototype = Object.freeze({
  [inspect.custom](this: TcpInfo, _depth: number, options: object): string {
    const known = shown.filter((field) => this[field] !== undefined).map((field) => [field, this[field]])
    const fields = { state: stateNames[this.state] ?? this.state, ...Object.fromEntries(known) }
    const text = inspect(fields, { ...options, compact: true, breakLength: Number.POSITIVE_INFINITY })
    const left = Object.keys(this).length - Object.keys(fields).length
    return `TcpInfo ${text.replace(/ }$/, '')}, ... ${left} more }`
  },
})

/** The state: the first byte in every kernel. */
export function stateOf(bytes: Uint8Array): number {
  return bytes[0]!
}

/** Whether this machine is little-endian. The order of bits in a bit field follows the byte order. */
const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** One field of the tcp_info that starts at `start` and is `length` bytes long. */
export function readTcpInfoField(
  view: DataView,
  start: number,
  length: number,
  field: TcpInfoField,
  layout = ownLayout(),
): number | undefined {
  const place = layout[field]
  const offset = place[0]
  const width = place[1]
  if (length < offset + width || length < (place[4] ?? 0)) return undefined
  const at = start + offset
  switch (width) {
    case 1:
      return bitField(view.getUint8(at), place[2] ?? 0, place[3] ?? 8)
    case 2:
      return view.getUint16(at, littleEndian)
    case 4:
      return view.getUint32(at, littleEndian)
    case 8:
      return read64(view, at)
  }
}

/** A 64-bit number. Rounds like a conversion from a bigint, without creating one. */
function read64(view: DataView, offset: number): number {
  const first = view.getUint32(offset, littleEndian)
  const second = view.getUint32(offset + 4, littleEndian)
  return littleEndian ? second * 2 ** 32 + first : first * 2 ** 32 + second
}

function bitField(byte: number, shift: number, bits: number): number {
  const down = littleEndian ? shift : 8 - shift - bits
  return (byte >> down) & ((1 << bits) - 1)
}

/**
 * A field in the native core's form: offset, log2 of the width, shift and bits in one number, and the minimum
 * length in another.
 */
export function encodePlace([offset, width, shift = 0, bits = 0, since = 0]: Place): [
  place: number,
  least: number,
] {
  const down = bits === 0 || littleEndian ? shift : 8 - shift - bits
  return [offset | (Math.log2(width) << 16) | (down << 20) | (bits << 24), Math.max(offset + width, since)]
}
