import { endianness } from 'node:os'
import { type InspectOptions, inspect } from 'node:util'
import type { DeadpeerError } from '../errors.js'
import { addressText } from './address.js'
import type { NativeCondition, NativeCore, NativeDump, NativeFailure } from './binding.js'
import { type Explain, failureError, isFailure } from './failure.js'
import { entryError, isEntryRefusal, OWN_NAMESPACE } from './network-namespace.js'
import { decodeTcpInfo, readTcpInfoField, type TcpInfo, type TcpInfoField } from './tcp-info.js'

/** A connection's state by the number that the kernel gives it, and by name. */
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

/** `idiag_timer`, by its number. */
const timerNames = ['off', 'retransmit', 'keepalive', 'time-wait', 'window-probe', 'delayed-ack'] as const

/**
 * Which of a socket's timers runs; the first of these that does, in this order:
 *
 * - `retransmit`: data or a SYN is unacknowledged (also tail-loss probe and reordering timer).
 * - `window-probe`: the peer's window is closed.
 * - `delayed-ack`: an acknowledgement is due (newer kernels).
 * - `keepalive`: probes of an idle connection; of `fin-wait-2`, how long the peer's FIN is waited for.
 * - `time-wait`: how long the connection is remembered. Stands alone.
 * - `off`: none.
 */
export type SocketTimer = (typeof timerNames)[number]

/** Of the socket, not of what it talks: one of IPv6 talks IPv4 to `::ffff:192.0.2.1`. */
export type SocketFamily = 'ipv4' | 'ipv6'

/** One end of a connection. */
export interface SocketEnd {
  /** In the form of RFC 5952. `0.0.0.0` and `::` stand for any. */
  readonly address: string
  /** 0 at the far end of a listener. */
  readonly port: number
}

const familyNumbers = { ipv4: 2, ipv6: 10 } as const

/** A record: `struct inet_diag_msg` (linux/inet_diag.h), the length of tcp_info, tcp_info. */
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

// The kernel writes in the machine's byte order, but for addresses and ports.
const littleEndian = endianness() === 'LE'

/**
 * One TCP socket as the kernel listed it: a view into the list's bytes, decoded where it is looked at. Holding one
 * holds the whole list; {@link SocketRecord.toJSON} is a copy.
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

  /** Its state; see {@link SocketState}. */
  get state(): SocketState {
    return stateNames[this.#u8(offsets.state)]!
  }

  /** The near end. */
  get local(): SocketEnd {
    return this.#end(offsets.local, offsets.localPort)
  }

  /** The far end. Of a listener: all zeros. */
  get remote(): SocketEnd {
    return this.#end(offsets.remote, offsets.remotePort)
  }

  /** Which timer runs; `undefined` for one that the kernel has and this package does not know. */
  get timer(): SocketTimer | undefined {
    return timerNames[this.#u8(offsets.timer)]
  }

  /** ms until the timer fires, in the kernel's ticks; `undefined` where it is off. */
  get expires(): number | undefined {
    if (this.timer === 'off') return undefined
    // Negative for one that is due: older kernels do not cut that off.
    return Math.max(0, this.#u32(offsets.expires) | 0)
  }

  /**
   * What the timer has done in vain: retransmissions (`retransmit`), unanswered probes (`keepalive`,
   * `window-probe`); 0 … 255.
   */
  get retries(): number {
    return this.#u8(offsets.retries)
  }

  /** Bytes received and not read yet; of a listener, connections waiting to be accepted. */
  get receiveQueue(): number {
    return this.#u32(offsets.receiveQueue)
  }

  /** Bytes written and not acknowledged yet; of a listener, its backlog. */
  get sendQueue(): number {
    return this.#u32(offsets.sendQueue)
  }

  /**
   * Who opened it, as the caller's user namespace has it. `undefined` where the kernel has forgotten: in `time-wait`, during
   * the handshake of a listener, and once its process has closed it.
   */
  get uid(): number | undefined {
    return this.#u32(offsets.uid) || (this.inode === undefined ? undefined : 0)
  }

  /** The inode, as in `/proc/<pid>/fd`: `socket:[…]`. `undefined` where no process has it open. */
  get inode(): number | undefined {
    return this.#u32(offsets.inode) || undefined
  }

  /** `SO_COOKIE`, socket(7): unique to this socket for as long as the system runs. */
  get cookie(): bigint {
    // The lower half comes first, also on a big-endian machine.
    return BigInt(this.#u32(offsets.cookie)) | (BigInt(this.#u32(offsets.cookie + 4)) << 32n)
  }

  /** Index of the interface it is bound to (`SO_BINDTODEVICE`, or an address with a zone); `undefined`: none. */
  get interface(): number | undefined {
    return this.#u32(offsets.interface) || undefined
  }

  /** tcp_info, where it was asked for; not in `time-wait`, nor during a listener's handshake. Decoded at first use. */
  get info(): TcpInfo | undefined {
    const length = this.#u32(offsets.infoLength)
    if (length > 0) this.#info ??= decodeTcpInfo(this.#bytes(offsets.info, length))
    return this.#info
  }

  /**
   * A few fields of it, without decoding the others or keeping any.
   *
   * @internal
   */
  pickInfo<F extends TcpInfoField>(...fields: F[]): Pick<TcpInfo, F> | undefined {
    if (this.#u32(offsets.infoLength) === 0) return undefined
    return Object.fromEntries(fields.map((field) => [field, this.readInfo(field)])) as Pick<TcpInfo, F>
  }

  /**
   * One field of it, for decisions on many.
   *
   * @internal
   */
  readInfo(field: TcpInfoField): number | undefined {
    return readTcpInfoField(this.#view, this.#start + offsets.info, this.#u32(offsets.infoLength), field)
  }

  /** A plain copy. The cookie becomes a decimal string, for JSON has no bigint. */
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

/** The states in which the kernel has tcp_info: not in `time-wait`, nor during a listener's handshake. */
export type StateWithInfo = Exclude<SocketState, 'time-wait' | 'syn-recv'>

/** A record of a list with tcp_info, of sockets in states that have it. */
export type SocketRecordWithInfo = SocketRecord & { readonly info: TcpInfo }

/** The sockets of one moment, or nearly: they were read one after the other, while others went on. */
export class SocketList<Record extends SocketRecord = SocketRecord> implements Iterable<Record> {
  /** How many there are. */
  readonly length: number
  /**
   * Whether some may be missing: sockets went just where the kernel had paused, or listeners came or went meanwhile, or the kernel said that
   * its tables had changed (`NLM_F_DUMP_INTR`), or part of its answer was lost, at each of four attempts.
   */
  readonly interrupted: boolean
  readonly #view: DataView

  /** @internal */
  constructor(bytes: ArrayBuffer, length: number, interrupted: boolean) {
    this.#view = new DataView(bytes)
    this.length = length
    this.interrupted = interrupted
  }

  /** What `console.log` shows: the records, as of an array. */
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

/** Conditions on one end. Anything matches what is left out. */
export interface EndCondition {
  readonly port?: number | undefined
  readonly prefix?: { readonly bytes: Uint8Array; readonly length: number } | undefined
}

export interface SocketQuery {
  /** A process of the network namespace that is meant; `undefined`: the caller's. */
  readonly pid: number | undefined
  readonly families: readonly SocketFamily[]
  readonly states: readonly SocketState[]
  readonly info: boolean
  readonly local: EndCondition
  readonly remote: EndCondition
}

/** A dump under way. */
export interface SocketDump {
  readonly list: Promise<SocketList>
  /** Ends it soon; the list may then never arrive. */
  cancel(): void
}

/** Lists the kernel's TCP sockets on a thread of the pool. */
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
      const message = `This kernel does not list TCP sockets: ${words} (${name}). It needs NETLINK_SOCK_DIAG and tcp_diag (CONFIG_INET_DIAG).`
      return ['ERR_UNSUPPORTED_PLATFORM', message]
    }
    const who = syscall ? `The kernel refused ${syscall} for` : 'The kernel answered with an error to'
    return `${who} a list of TCP sockets: ${words} (${name}).`
  }
  return failureError(failure, explain, { constant: 'NETLINK_SOCK_DIAG' })
}

/** Not compiled in, its module not to be had, or no such thing in a sandbox. */
function isMissing(name: string): boolean {
  return ['ENOENT', 'EPROTONOSUPPORT', 'EAFNOSUPPORT', 'EOPNOTSUPP', 'ENOTSUP'].includes(name)
}
