import { release } from 'node:os'
import { inspect } from 'node:util'
import type { NativeCore } from './binding.js'
import { descriptorError, orThrow } from './failure.js'
import { layoutOf, type Place } from './tcp-info-layout.js'

/**
 * What {@link TcpInfo.state} counts, under the names of RFC 9293.
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
 * What the kernel counts for one connection: `struct tcp_info`, tcp(7), through Linux 6.18. Named after the kernel's
 * fields. A field that this kernel does not have is `undefined`, never 0. The 64-bit ones are exact up to 2^53.
 *
 * `console.log` shows the eight fields that tell whether the peer is there, with the state as a word; `console.log({ ...info })` shows all.
 */
export interface TcpInfo {
  /** Connection state, as {@link TcpState} names them: 1 is ESTABLISHED. */
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
  /** 1 where {@link deliveryRate} was held down by the program, not the path (Linux 4.9). */
  readonly deliveryRateAppLimited: number | undefined
  /** Why Fast Open was not used: 0 unknown, 1 no cookie, 2 SYN data not acknowledged, 3 SYN retransmitted (Linux 5.5; told from 6.2
   * on, as before that the length does not show whether it is there). */
  readonly fastopenClientFail: number | undefined
  /** Retransmission timeout, µs. */
  readonly rto: number
  /** Delayed acknowledgement timeout, µs. */
  readonly ato: number
  /** Maximum segment size for sending, bytes. */
  readonly sndMss: number
  /** Maximum segment size seen in receiving, bytes. */
  readonly rcvMss: number
  /** Segments sent and not acknowledged; of a listener, connections waiting to be accepted. */
  readonly unacked: number
  /** Segments that the peer has selectively acknowledged; of a listener, the backlog's size. */
  readonly sacked: number
  /** Segments taken for lost. */
  readonly lost: number
  /** Segments retransmitted and not yet acknowledged. */
  readonly retrans: number
  /** Forward acknowledgements; 0 in kernels of today. */
  readonly fackets: number
  /** ms since data was last sent. */
  readonly lastDataSent: number
  /** Always 0: the kernel does not remember. */
  readonly lastAckSent: number
  /** ms since data last came. */
  readonly lastDataRecv: number
  /** ms since an acknowledgement last came. Counts in the kernel's ticks (4 ms at HZ=250). */
  readonly lastAckRecv: number
  /** Path MTU, bytes. */
  readonly pmtu: number
  /** Slow start threshold of receiving, bytes. */
  readonly rcvSsthresh: number
  /** Smoothed round-trip time, µs. */
  readonly rtt: number
  /** Its mean deviation, µs. */
  readonly rttvar: number
  /** Slow start threshold of sending, segments; 2^31 − 1 is none. */
  readonly sndSsthresh: number
  /** Congestion window, segments. */
  readonly sndCwnd: number
  /** Maximum segment size advertised to the peer, bytes. */
  readonly advmss: number
  /** How far segments may be out of order before they are taken for lost. */
  readonly reordering: number
  /** Round-trip time as the receiver sees it, µs. */
  readonly rcvRtt: number
  /** Receive buffer space tuned to what the program reads, bytes. */
  readonly rcvSpace: number
  /** Segments retransmitted in all. */
  readonly totalRetrans: number
  /** Rate of sending, bytes a second; 2^64 − 1 is unlimited (Linux 3.15). */
  readonly pacingRate: number | undefined
  /** Its limit, SO_MAX_PACING_RATE, bytes a second; 2^64 − 1 is none (Linux 3.15). */
  readonly maxPacingRate: number | undefined
  /** Bytes acknowledged by the peer (Linux 4.1). */
  readonly bytesAcked: number | undefined
  /** Bytes received and acknowledged (Linux 4.1). */
  readonly bytesReceived: number | undefined
  /** Segments sent (Linux 4.2). */
  readonly segsOut: number | undefined
  /** Segments received: the exact witness that the peer was heard (Linux 4.2). */
  readonly segsIn: number | undefined
  /** Bytes queued and not sent (Linux 4.6). */
  readonly notsentBytes: number | undefined
  /** Lowest round-trip time of late, µs (Linux 4.6). */
  readonly minRtt: number | undefined
  /** Segments with data received (Linux 4.6). */
  readonly dataSegsIn: number | undefined
  /** Segments with data sent (Linux 4.6). */
  readonly dataSegsOut: number | undefined
  /** Most recent rate of delivery, bytes a second (Linux 4.9). */
  readonly deliveryRate: number | undefined
  /** Time spent with data to send, µs (Linux 4.10). */
  readonly busyTime: number | undefined
  /** Time of that spent waiting for the peer's window, µs (Linux 4.10). */
  readonly rwndLimited: number | undefined
  /** Time of that spent with the send buffer full, µs (Linux 4.10). */
  readonly sndbufLimited: number | undefined
  /** Data segments delivered, retransmitted ones included (Linux 4.18). */
  readonly delivered: number | undefined
  /** Of those, the ones marked by ECN (Linux 4.18). */
  readonly deliveredCe: number | undefined
  /** Bytes of data sent, retransmitted ones included (Linux 4.19). */
  readonly bytesSent: number | undefined
  /** Bytes of data retransmitted (Linux 4.19). */
  readonly bytesRetrans: number | undefined
  /** Segments that the peer reported as duplicates (Linux 4.19). */
  readonly dsackDups: number | undefined
  /** Times that reordering was seen (Linux 4.19). */
  readonly reordSeen: number | undefined
  /** Segments received out of order (Linux 5.4). */
  readonly rcvOoopack: number | undefined
  /** The window that the peer announced, bytes (Linux 5.4). */
  readonly sndWnd: number | undefined
  /** The window announced to the peer, bytes (Linux 6.2). */
  readonly rcvWnd: number | undefined
  /** Times that another path was tried, by a new flow label (Linux 6.2). */
  readonly rehash: number | undefined
  /** Retransmission timeouts in all (Linux 6.7). */
  readonly totalRto: number | undefined
  /** Recoveries from them in all (Linux 6.7). */
  readonly totalRtoRecoveries: number | undefined
  /** Time spent in those recoveries, ms (Linux 6.7). */
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

/** Time since the peer was last heard, in ms, by the measure that the kernel's keepalive uses. */
export function silentFor({
  lastDataRecv,
  lastAckRecv,
}: Pick<TcpInfo, 'lastDataRecv' | 'lastAckRecv'>): number {
  return Math.min(lastDataRecv, lastAckRecv)
}

/** Whether the kernel has ended a connection since its peer did not answer. A reset cannot be told from an end that both sides agreed to. */
export function isGivenUp({
  state,
  probes,
  retransmits,
}: Pick<TcpInfo, 'state' | 'probes' | 'retransmits'>): boolean {
  return state === TcpState.CLOSE && (probes > 0 || retransmits > 0)
}

type Layout = Readonly<Record<TcpInfoField, Place>>

let own: Layout | undefined

/** The layout of the kernel that this runs on. */
export function ownLayout(): Layout {
  own ??= layoutOf(release())
  return own
}

/** Room for every tcp_info so far (280 bytes in Linux 6.18), and some to come. */
const CAPACITY = 512

/** Reads TCP_INFO of a descriptor. */
export function readTcpInfo(core: NativeCore, fd: number): TcpInfo {
  const bytes = new Uint8Array(CAPACITY)
  const length = orThrow(core.readTcpInfo(fd, bytes), ({ errno }) => descriptorError(errno, fd))
  return decodeTcpInfo(bytes.subarray(0, length))
}

/** Decodes by length: what the kernel did not fill in is `undefined`, and a tail that is not known here is ignored. */
export function decodeTcpInfo(bytes: Uint8Array, layout = ownLayout()): TcpInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const info = Object.create(prototype) as Partial<Record<TcpInfoField, number | undefined>>
  for (const field of Object.keys(layout) as TcpInfoField[]) {
    info[field] = readTcpInfoField(view, 0, bytes.byteLength, field, layout)
  }
  return info as TcpInfo
}

/** What `console.log` shows of the seventy fields: whether the peer is there, and how far away. */
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

/** The state alone, which is the first byte in every kernel. */
export function stateOf(bytes: Uint8Array): number {
  return bytes[0]!
}

/** Machines differ in the order of bytes, and of the bits of a bit field with it. */
const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** One field of the tcp_info that begins at `start` and is `length` bytes long. */
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

/** Rounded as a bigint would be, and without making one. */
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
 * A field as the native core reads it: offset, log2 of the width, shift and bits in one number, and the least
 * length in another.
 */
export function encodePlace([offset, width, shift = 0, bits = 0, since = 0]: Place): [
  place: number,
  least: number,
] {
  const down = bits === 0 || littleEndian ? shift : 8 - shift - bits
  return [offset | (Math.log2(width) << 16) | (down << 20) | (bits << 24), Math.max(offset + width, since)]
}
