import { endianness } from 'node:os'
import { type InspectOptions, inspect } from 'node:util'
import type { DeadpeerError } from '../errors.js'
import { addressText } from './address.js'
import type { NativeCondition, NativeCore, NativeDump, NativeFailure } from './binding.js'
import { type Explain, failureError, isFailure } from './failure.js'
import { entryError, isEntryRefusal, OWN_NAMESPACE } from './network-namespace.js'
import { decodeTcpInfo, readTcpInfoField, type TcpInfo, type TcpInfoField } from './tcp-info.js'

/** The kernel's numbers of the states, by name. */
const stateNumbers = {
  established: 1,
  'syn-sent': 2,
  'syn-recv': 3,
  'fin-wait-1': 4,
  'fin-wait-2': 5,
  'time-wait': 6,
  'close-wait': 8,
  'last-ack': 9,
  listen: 10,
  closing: 11,
} as const

/**
 * State of a TCP socket, RFC 9293 §3.3.2: `established`, `syn-sent`, `syn-recv`, `fin-wait-1`, `fin-wait-2`, `time-wait`, `close-wait`,
 * `last-ack`, `listen`, `closing`.
 */
export type SocketState = keyof typeof stateNumbers

export const socketStates = Object.keys(stateNumbers) as SocketState[]

const stateNames: SocketState[] = []
for (const state of socketStates) stateNames[stateNumbers[state]] = state

/** The values of `idiag_timer`, by number. */
const timerNames = ['off', 'retransmit', 'keepalive', 'time-wait', 'window-probe', 'delayed-ack'] as const

/**
 * Which of a socket's timers runs. If several run, the first of these:
 *
 * - `retransmit`: data or a SYN is unacknowledged (also tail-loss probe and reordering timer).
 * - `window-probe`: the peer's window is closed.
 * - `delayed-ack`: an acknowledgement is due (newer kernels).
 * - `keepalive`: probes of an idle connection; in `fin-wait-2`, the wait for the peer's FIN.
 * - `time-wait`: the end of `time-wait`. No other timer runs then.
 * - `off`: no timer runs.
 */
export type SocketTimer = (typeof timerNames)[number]

/** The address family of the socket, not of its packets: an IPv6 socket sends IPv4 packets to `::ffff:192.0.2.1`. */
export type SocketFamily = 'ipv4' | 'ipv6'

/** One end of a connection. */
export interface SocketEnd {
  /** In the form of RFC 5952. `0.0.0.0` and `::` mean any address. */
  readonly address: string
  /** 0 for the remote end of a listener. */
  readonly port: number
}

const familyNumbers = { ipv4: 2, ipv6: 10 } as const

/** The layout of a record: `struct inet_diag_msg` (linux/inet_diag.h), the length of tcp_info, tcp_info. */
const offsets = {
  family: 0,
  state: 1,
  timer: 2,
  retries: 3,
  localPort: 4,
  remotePort: 6,
  local: 8,
  remote: 24,
  interface: 40,
  cookie: 44,
  expires: 52,
  receiveQueue: 56,
  sendQueue: 60,
  uid: 64,
  inode: 68,
  infoLength: 72,
  info: 76,
} as const

// The kernel writes in the machine's byte order, except addresses and ports.
const littleEndian = endianness() === 'LE'

/**
 * One TCP socket that the kernel listed. It is a view into the bytes of the list, and decodes a field when it is read. A reference to one record
 * keeps the whole list in memory. {@link SocketRecord.toJSON} makes a copy.
 */
export class SocketRecord {
  readonly #view: DataView
  readonly #start: number
  #info: TcpInfo | undefined

  /** @internal */
  constructor(view: DataView, start: number) {
    this.#view = view
    this.#start = start
  }

  /** The address family of the socket. */
  get family(): SocketFamily {
    return this.#u8(offsets.family) === familyNumbers.ipv4 ? 'ipv4' : 'ipv6'
  }

  /** The state of the socket. */
  get state(): SocketState {
    return stateNames[this.#u8(offsets.state)]!
  }

  /** The local end. */
  get local(): SocketEnd {
    return this.#end(offsets.local, offsets.localPort)
  }

  /** The remote end. For a listener: all zeros. */
  get remote(): SocketEnd {
    return this.#end(offsets.remote, offsets.remotePort)
  }

  /** Which timer runs. `undefined`: a timer that this package does not know. */
  get timer(): SocketTimer | undefined {
    return timerNames[this.#u8(offsets.timer)]
  }

  /** The time until the timer fires, in ms, exact to the kernel's tick. `undefined` if no timer runs. */
  get expires(): number | undefined {
    if (this.timer === 'off') return undefined
    // Older kernels report a negative time for a timer that is due.
    return Math.max(0, this.#u32(offsets.expires) | 0)
  }

  /**
   * How often the timer has fired without an answer: retransmissions (`retransmit`), or unanswered probes (`keepalive`, `window-probe`).
   * 0 … 255.
   */
  get retries(): number {
    return this.#u8(offsets.retries)
  }

  /** Bytes received and not read yet. For a listener: connections that wait to be accepted. */
  get receiveQueue(): number {
    return this.#u32(offsets.receiveQueue)
  }

  /** Bytes written and not acknowledged yet. For a listener: its backlog. */
  get sendQueue(): number {
    return this.#u32(offsets.sendQueue)
  }

  /**
   * The user that opened the socket, as an id in the caller's user namespace. `undefined` if the kernel no longer has it: in `time-wait`, during
   * the handshake of an incoming connection, and after its process has closed it.
   */
  get uid(): number | undefined {
    return this.#u32(offsets.uid) || (this.inode === undefined ? undefined : 0)
  }

  /** The inode, as in the links `socket:[…]` of `/proc/<pid>/fd`. `undefined` if no process has the socket open. */
  get inode(): number | undefined {
    return this.#u32(offsets.inode) || undefined
  }

  /** `SO_COOKIE`, socket(7): unique to this socket until the system reboots. */
  get cookie(): bigint {
    // The lower half is first, on big-endian machines too.
    return BigInt(this.#u32(offsets.cookie)) | (BigInt(this.#u32(offsets.cookie + 4)) << 32n)
  }

  /** The index of the interface that the socket is bound to (`SO_BINDTODEVICE`, or an address with a zone). `undefined`: none. */
  get interface(): number | undefined {
    return this.#u32(offsets.interface) || undefined
  }

  /** tcp_info, decoded on first use. `undefined` without `info: true`, in `time-wait`, and during the handshake of an incoming connection. */
  get info(): TcpInfo | undefined {
    const length = this.#u32(offsets.infoLength)
    if (length > 0) this.#info ??= decodeTcpInfo(this.#bytes(offsets.info, length))
    return this.#info
  }

  /**
   * A few fields of tcp_info. It does not decode the others.
   *
   * @internal
   */
  pickInfo<F extends TcpInfoField>(...fields: F[]): Pick<TcpInfo, F> | undefined {
    if (this.#u32(offsets.infoLength) === 0) return undefined
    return Object.fromEntries(fields.map((field) => [field, this.readInfo(field)])) as Pick<TcpInfo, F>
  }

  /**
   * One field of tcp_info.
   *
   * @internal
   */
  readInfo(field: TcpInfoField): number | undefined {
    return readTcpInfoField(this.#view, this.#start + offsets.info, this.#u32(offsets.infoLength), field)
  }

  /** A plain copy. The cookie becomes a decimal string, because JSON has no bigint. */
  toJSON() {
    return { ...this[inspect.custom](), cookie: this.cookie.toString() }
  }

  /** What `console.log` shows. */
  [inspect.custom]() {
    const { family, state, local, remote, timer, expires, retries, receiveQueue, sendQueue } = this
    const { uid, inode, cookie, interface: index, info } = this
    return {
      ...{ family, state, local, remote, timer, expires, retries, receiveQueue, sendQueue },
      ...{ uid, inode, cookie, interface: index, info },
    }
  }

  #u8(offset: number): number {
    return this.#view.getUint8(this.#start + offset)
  }

  #u32(offset: number): number {
    return this.#view.getUint32(this.#start + offset, littleEndian)
  }

  #end(address: number, port: number): SocketEnd {
    const length = this.#u8(offsets.family) === familyNumbers.ipv4 ? 4 : 16
    return {
      address: addressText(this.#bytes(address, length)),
      port: this.#view.getUint16(this.#start + port),
    }
  }

  #bytes(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + this.#start + offset, length)
  }
}

/** The states in which the kernel has tcp_info: all except `time-wait`, and `syn-recv` of incoming connections. */
export type StateWithInfo = Exclude<SocketState, 'time-wait' | 'syn-recv'>

/** A record that has tcp_info: it was listed with `info: true`, in a state that has it. */
export type SocketRecordWithInfo = SocketRecord & { readonly info: TcpInfo }

/** The sockets at one moment. The kernel lists them one after the other, so they may change meanwhile. */
export class SocketList<Record extends SocketRecord = SocketRecord> implements Iterable<Record> {
  /** The number of sockets. */
  readonly length: number
  /**
   * Whether sockets may be missing, because each of four attempts was disturbed. Possible causes: a socket closed exactly where the kernel had
   * paused; a listener opened or closed; the kernel reported that its tables had changed (`NLM_F_DUMP_INTR`); or a part of its reply was lost.
   */
  readonly interrupted: boolean
  readonly #view: DataView

  /** @internal */
  constructor(bytes: ArrayBuffer, length: number, interrupted: boolean) {
    this.#view = new DataView(bytes)
    this.length = length
    this.interrupted = interrupted
  }

  /** What `console.log` shows: the records, as for an array. */
  [inspect.custom](_depth: number, options: InspectOptions, print: typeof inspect): string {
    return `SocketList(${this.length}${this.interrupted ? ', interrupted' : ''}) ${print([...this], options)}`
  }

  /** The records, in the order in which the kernel listed them. */
  *[Symbol.iterator](): IterableIterator<Record> {
    const { byteLength } = this.#view
    for (let start = 0; start + offsets.info <= byteLength; ) {
      const infoLength = this.#view.getUint32(start + offsets.infoLength, littleEndian)
      if (infoLength > byteLength - start - offsets.info) return
      yield new SocketRecord(this.#view, start) as Record
      start += offsets.info + Math.ceil(infoLength / 4) * 4
    }
  }
}

/** Conditions on one end. A field that is left out matches anything. */
export interface EndCondition {
  readonly port?: number | undefined
  readonly prefix?: { readonly bytes: Uint8Array; readonly length: number } | undefined
}

export interface SocketQuery {
  /** A process in the network namespace to list. `undefined`: the caller's namespace. */
  readonly pid: number | undefined
  readonly families: readonly SocketFamily[]
  readonly states: readonly SocketState[]
  readonly info: boolean
  readonly local: EndCondition
  readonly remote: EndCondition
}

/** A running dump. */
export interface SocketDump {
  readonly list: Promise<SocketList>
  /** Ends the dump soon. `list` may then never settle. */
  cancel(): void
}

/** Lists the kernel's TCP sockets, on a thread of the pool. */
export function dumpSockets(core: NativeCore, query: SocketQuery): SocketDump {
  let dump: NativeDump | undefined
  const list = new Promise<SocketList>((resolve, reject) => {
    const request = {
      pid: query.pid ?? OWN_NAMESPACE,
      ipv4: query.families.includes('ipv4'),
      ipv6: query.families.includes('ipv6'),
      states: query.states.reduce((mask, state) => mask | (1 << stateNumbers[state]), 0),
      withInfo: query.info,
      local: toNative(query.local),
      remote: toNative(query.remote),
    }
    dump = core.dumpSockets(request, (result, length, interrupted) => {
      if (!isFailure(result)) resolve(new SocketList(result, length, interrupted))
      else if (query.pid !== undefined && isEntryRefusal(result)) reject(entryError(result, query.pid))
      else reject(dumpError(result))
    })
  })
  return { list, cancel: () => dump && core.cancelDump(dump) }
}

const ANY_PORT = -1
const noBytes = new Uint8Array(0)

function toNative({ port, prefix }: EndCondition): NativeCondition {
  return { port: port ?? ANY_PORT, address: prefix?.bytes ?? noBytes, prefixLength: prefix?.length ?? 0 }
}

function dumpError(failure: NativeFailure): DeadpeerError {
  const { syscall } = failure
  const explain: Explain = (name, words) => {
    if (isMissing(name)) {
      const message = `This kernel cannot list TCP sockets: ${words} (${name}). It needs NETLINK_SOCK_DIAG and tcp_diag (CONFIG_INET_DIAG).`
      return ['ERR_UNSUPPORTED_PLATFORM', message]
    }
    const call = syscall ? ` (${syscall})` : ''
    return `The kernel refused to list TCP sockets${call}: ${words} (${name}).`
  }
  return failureError(failure, explain, { constant: 'NETLINK_SOCK_DIAG' })
}

/** Whether sock_diag is not compiled in, its module is missing, or a sandbox does not have it. */
function isMissing(name: string): boolean {
  return ['ENOENT', 'EPROTONOSUPPORT', 'EAFNOSUPPORT', 'EOPNOTSUPP', 'ENOTSUP'].includes(name)
}
