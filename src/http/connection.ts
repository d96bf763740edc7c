import { type EventEmitter, errorMonitor } from 'node:events'
import type http from 'node:http'
import type net from 'node:net'
import { type CloseListener, releaseCloseSnapshot, requestCloseSnapshot } from '../connection/close-hook.js'
import { type AgentConnection, type ConnectionRecord, recordOf } from '../connection/record.js'
import { descriptorOf } from '../connection/target.js'
import { sampleTcpInfo } from '../inspect/sample-tcp-info.js'
import { nativeCore } from '../kernel/binding.js'
import { TcpState } from '../kernel/tcp-info.js'
import { isTimeout } from '../watch/cause.js'
import { failureOf } from './stale.js'
import type { Ending } from './statistics.js'

/** A request, with members that Node's types do not have. */
export type SentRequest = http.ClientRequest & {
  readonly res?: http.IncomingMessage | null
  readonly upgradeOrConnect?: boolean
}

/** Counts connections. `opened` is called at most once, `closed` once. */
export interface ConnectionOwner {
  opened(connection: Connection): void
  closed(connection: Connection): void
}

/** The kernel's counters of an idle connection. NaN if it is not a TCP connection. */
export interface Sample {
  readonly state: number
  readonly probes: number
  readonly bytesAcked: number
  /** The shortest round-trip time, ms. The smoothed one includes the time that the server takes to respond, if its ACKs are delayed. */
  readonly minRtt: number
}

const fields = Object.freeze(['state', 'probes', 'bytesAcked', 'minRtt'] as const)

/** Reused by each call. */
let rows = new Float64Array(fields.length * 64)

/** Samples all sockets with one native call. `undefined` without the native core. */
export function sampleAll(sockets: readonly net.Socket[]): Sample[] | undefined {
  if (!nativeCore()) return undefined
  const width = fields.length
  if (rows.length < sockets.length * width) rows = new Float64Array(sockets.length * width * 2)
  sampleTcpInfo(sockets, fields, rows)
  return sockets.map((_, i) => ({
    state: rows[i * width]!,
    probes: rows[i * width + 1]!,
    bytesAcked: rows[i * width + 2]!,
    minRtt: rows[i * width + 3]! / 1_000,
  }))
}

/** One connection in the statistics of an agent, from opening to closing. */
export class Connection implements AgentConnection, CloseListener {
  readonly owner: ConnectionOwner
  readonly socket: net.Socket
  readonly origin: string
  /** When it was created, by `performance.now()`. */
  readonly madeAt = performance.now()
  /** When it last became free, by `performance.now()`. */
  freeAt = 0
  /** Whether it is free, so that a close by the peer shows how long the peer keeps an idle connection. */
  isFree = false
  /** How long it may stay free since `freeAt`, in ms. 0: no limit. */
  freeFor = 0
  /** The number of requests so far. */
  requests = 0
  /** The number of requests without a complete response, of an agent of undici. */
  active = 0
  /** The last request. */
  request: SentRequest | undefined
  isOpen = false
  /** Whether the peer has announced that it closes the connection, without a request for that. */
  isCloseAnnounced = false
  /** `bytesAcked` when the connection was last sampled while idle. */
  ackedWhenIdle = Number.NaN
  readonly #record: ConnectionRecord
  #limit: number
  #mayBeTunnel: boolean
  #isReplaced = false
  #isClosed = false
  #hasServerMax = false
  #peerClosed = false
  #failure: Ending | undefined

  /** @param mayBeTunnel whether the socket may be a tunnel through a proxy with TLS over it, and not a connection for requests. */
  constructor(
    socket: net.Socket,
    origin: string,
    owner: ConnectionOwner,
    limit = Number.POSITIVE_INFINITY,
    mayBeTunnel = false,
  ) {
    this.socket = socket
    this.#record = recordOf(socket)
    this.#limit = limit
    this.origin = origin
    this.owner = owner
    this.#mayBeTunnel = mayBeTunnel
    if (!this.#mayBeTunnel) this.#openWhenConnected()
    const emitter: EventEmitter = socket
    emitter.once(errorMonitor, (error) => {
      const failure = failureOf(error)
      this.#failure ??= failure && (failure === 'reset' ? 'reset' : 'timedOut')
      // Counts the end before the request reports the error. Only if the socket is destroyed: a program may emit an error on one that stays open.
      if (this.socket.destroyed) this.#onClosed()
    })
    requestCloseSnapshot(nativeCore(), socket, this)
  }

  /** Of {@link CloseListener}. */
  beforeClose(): void {}

  /** Of {@link CloseListener}. Adds its 'close' listener as late as possible: programs and Node's own tests count listeners. */
  afterClose(): void {
    releaseCloseSnapshot(this.socket, this)
    this.socket.prependOnceListener('close', this.#onClosed)
  }

  readonly #onClosed = () => {
    if (this.#isReplaced || this.#isClosed) return
    this.#isClosed = true
    // An error or a FIN that Node has reported is more exact.
    if (!this.#failure && !this.peerClosed) this.#noteCloseSnapshot()
    this.owner.closed(this)
  }

  /** While this is true, the connection is counted only if it fails to open. */
  get mayBeTunnel(): boolean {
    return this.#mayBeTunnel
  }

  /** Marks the socket as a tunnel. The TLS connection over it takes its place. */
  replace(): void {
    this.#isReplaced = true
  }

  /** Marks the socket as used for requests. */
  useForRequests(): void {
    this.#mayBeTunnel = false
    // A destroyed socket never opens. It is counted as failed to open when it closes.
    if (!this.socket.destroyed) this.#openWhenConnected()
  }

  #openWhenConnected(): void {
    const { connecting, secureConnecting } = this.socket as net.Socket & {
      readonly secureConnecting?: boolean
    }
    if (secureConnecting) this.socket.once('secureConnect', this.#open)
    else if (connecting) this.socket.once('connect', this.#open)
    else this.#open()
  }

  readonly #open = () => {
    this.isOpen = true
    this.owner.opened(this)
  }

  /** Whether the peer has sent a FIN: Node has read it, or the kernel has received it. */
  get peerClosed(): boolean {
    return this.#peerClosed || this.socket.readableEnded
  }

  get ending(): Ending {
    if (this.#failure) return this.#failure
    const isAnnounced = this.isCloseAnnounced || (this.request && announcesClose(this.request))
    return this.peerClosed || isAnnounced ? 'closedByPeer' : 'closedByUs'
  }

  /** Notes `Keep-Alive: max=` of the server. Some servers count it down, others always send the total. */
  noteServerMax(max: number): void {
    this.#limit = Math.min(this.#limit, this.#hasServerMax ? this.requests + max : max)
    this.#hasServerMax = true
  }

  /** Whether it has reached its limit of requests, or is older than `oldest` ms. 0: no limit. */
  isUsedUp(oldest: number, now: number): boolean {
    return this.requests >= this.#limit || (oldest > 0 && now - this.madeAt >= oldest)
  }

  /** Whether an idle connection must not be reused. Notes how it ended. */
  checkGone(sample: Sample | undefined): boolean {
    if (this.socket.readableEnded) return true
    // There is no native core, or it is not a TCP connection.
    if (!sample || Number.isNaN(sample.state)) return false
    this.ackedWhenIdle = sample.bytesAcked
    if (sample.state === TcpState.ESTABLISHED) return sample.probes > 0
    this.#noteTcpState(sample)
    return true
  }

  /** Notes an end that the kernel has recorded and Node has not reported as an error. */
  #noteTcpState({ state, probes }: Pick<Sample, 'state' | 'probes'>): void {
    // If this side has sent a FIN as well, it may be an orderly close.
    if (state === TcpState.CLOSE && (probes > 0 || !this.socket.writableEnded)) {
      this.#failure ??= probes > 0 ? 'timedOut' : 'reset'
    } else if (state === TcpState.CLOSE_WAIT || state === TcpState.LAST_ACK) this.#peerClosed = true
  }

  /** How it ended if Node closed it without reporting anything. */
  #noteCloseSnapshot(): void {
    const { state = Number.NaN, errno, final } = this.#record.closeSnapshot ?? {}
    if (errno === undefined) this.#noteTcpState({ state, probes: final?.info.probes ?? 0 })
    else if (isTimeout(errno)) this.#failure = 'timedOut'
    // EPIPE: a reset after the peer's FIN.
    else if (errno === 'EPIPE') this.#peerClosed = true
    else if (!this.socket.writableEnded) this.#failure = 'reset'
  }

  /** The number of bytes that the peer has acknowledged, now or at the close. NaN: not known. */
  bytesAcked(): number {
    const isConnected = descriptorOf(this.socket) >= 0
    const source = isConnected ? sampleAll([this.socket])?.[0] : this.#record.closeSnapshot
    return source?.bytesAcked ?? Number.NaN
  }

  /** Whether the peer has acknowledged more than `before` bytes. `undefined`: not known. */
  hasAcknowledgedSince(before: number): boolean | undefined {
    const now = this.bytesAcked()
    return Number.isNaN(now) || Number.isNaN(before) ? undefined : now > before
  }
}

/** Whether the server has announced that it closes the connection after this request, and the request did not ask for that. */
function announcesClose(request: SentRequest): boolean {
  return hasClose(request.res?.headers.connection) && !hasClose(request.getHeader('connection'))
}

function hasClose(header: unknown): boolean {
  return /\bclose\b/i.test(String(header ?? ''))
}
