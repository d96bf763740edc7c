import { type EventEmitter, errorMonitor } from 'node:events'
import type http from 'node:http'
import type net from 'node:net'
import { type CloseListener, closeSnapshotOf, requestCloseSnapshot } from '../connection/close-snapshot.js'
import { descriptorOf } from '../connection/target.js'
import { sampleTcpInfo } from '../inspect/sample-tcp-info.js'
import { nativeCore } from '../kernel/binding.js'
import { TcpState } from '../kernel/tcp-info.js'
import { isTimeout } from '../watch/cause.js'
import { failureOf } from './stale.js'
import type { Ending } from './statistics.js'

/** A request with what Node has no types for. */
export type Sent = http.ClientRequest & {
  readonly res?: http.IncomingMessage | null
  readonly upgradeOrConnect?: boolean
}

/** Who counts. `opened` comes at most once, `closed` once. */
export interface Owner {
  opened(connection: Connection): void
  closed(connection: Connection): void
}

/** What the kernel shows of an idle connection. */
export interface Sight {
  readonly state: number
  readonly probes: number
  readonly bytesAcked: number
}

const fields = Object.freeze(['state', 'probes', 'bytesAcked'] as const)

/** Room for a look, kept from one to the next. */
let room = new Float64Array(fields.length * 64)

/** One native call, however many there are. `undefined` without the native core. */
export function lookAtAll(sockets: readonly net.Socket[]): Sight[] | undefined {
  if (!nativeCore()) return undefined
  const width = fields.length
  if (room.length < sockets.length * width) room = new Float64Array(sockets.length * width * 2)
  const rows = sampleTcpInfo(sockets, fields, room)
  return sockets.map((_, i) => ({
    state: rows[i * width]!,
    probes: rows[i * width + 1]!,
    bytesAcked: rows[i * width + 2]!,
  }))
}

type Secure = net.Socket & {
  readonly secureConnecting?: boolean
  readonly _parent?: net.Socket | null
}

/** What a TLSSocket was made over, where that is a socket. */
export function socketUnder(socket: net.Socket): net.Socket | undefined {
  return (socket as Secure)._parent ?? undefined
}

/** One connection of an agent, from its opening to its end. */
export class Connection implements CloseListener {
  readonly socket: net.Socket
  readonly origin: string
  /** When it was made, and when it was last kept for another request; by `performance.now()`. */
  readonly madeAt = performance.now()
  freeAt = 0
  /** For how long it may be idle, as it was then decided, in ms. */
  freeFor = 0
  /** Requests that it has had. */
  requests = 0
  /** The last of them. */
  request: Sent | undefined
  isOpen = false
  /** Whether the peer has said, unasked, that it closes it. */
  isCalledLast = false
  /** What the peer had acknowledged when it was last looked at. */
  #ackedBefore = Number.NaN
  #limit: number
  readonly #owner: Owner
  #isOnTheWay: boolean
  #isReplaced = false
  #hasHint = false
  #peerClosed = false
  #failure: Ending | undefined

  /** @param mayBeTheWay whether there may be TLS over it instead of requests: a tunnel through a proxy. */
  constructor(socket: net.Socket, origin: string, limit: number, owner: Owner, mayBeTheWay: boolean) {
    this.socket = socket
    this.#limit = limit
    this.origin = origin
    this.#owner = owner
    this.#isOnTheWay = mayBeTheWay
    if (!mayBeTheWay) this.#openWhenConnected()
    const emitter: EventEmitter = socket
    emitter.once(errorMonitor, (error) => {
      const failure = failureOf(error)
      this.#failure ??= failure && (failure === 'reset' ? 'reset' : 'timedOut')
    })
    // A listener of 'close' is only added when the socket is being destroyed: programs, and Node's own tests, count listeners.
    requestCloseSnapshot(nativeCore(), socket, this)
  }

  /** Of {@link CloseListener}. */
  beforeClose(): void {}

  /** Of {@link CloseListener}. */
  afterClose(): void {
    this.socket.prependOnceListener('close', this.#onClosed)
  }

  readonly #onClosed = () => {
    if (this.#isReplaced) return
    // An error or an end that Node reported is more exact.
    if (!this.#failure && !this.peerClosed) this.#heedClose()
    this.#owner.closed(this)
  }

  /** Whether it is yet to be seen what it is for. Nothing of it is counted until then, but that it could not be opened. */
  get isOnTheWay(): boolean {
    return this.#isOnTheWay
  }

  /** TLS over it is the connection. */
  replace(): void {
    this.#isReplaced = true
  }

  /** It is for requests. */
  arrive(): void {
    this.#isOnTheWay = false
    // Then it never opens, and is counted as that when it closes.
    if (!this.socket.destroyed) this.#openWhenConnected()
  }

  #openWhenConnected(): void {
    const { connecting, secureConnecting } = this.socket as Secure
    if (secureConnecting) this.socket.once('secureConnect', this.#open)
    else if (connecting) this.socket.once('connect', this.#open)
    else this.#open()
  }

  readonly #open = () => {
    this.isOpen = true
    this.#owner.opened(this)
  }

  /** Whether the peer's FIN was read, or the kernel has it. */
  get peerClosed(): boolean {
    return this.#peerClosed || this.socket.readableEnded
  }

  get ending(): Ending {
    if (this.#failure) return this.#failure
    const isCalledLast = this.isCalledLast || (this.request && hasBeenCalledLast(this.request))
    return this.peerClosed || isCalledLast ? 'closedByPeer' : 'closedByUs'
  }

  /** Takes note of how many requests the server says it takes. Some count down, others always say how many in all. */
  heedMax(max: number): void {
    this.#limit = Math.min(this.#limit, this.#hasHint ? this.requests + max : max)
    this.#hasHint = true
  }

  /** Whether it has had all its requests, or is older than `oldest` ms; 0: any age will do. */
  isSpent(oldest: number, now: number): boolean {
    return this.requests >= this.#limit || (oldest > 0 && now - this.madeAt >= oldest)
  }

  /** Whether an idle connection must not be used; takes down what it has ended of. */
  isGone(sight: Sight | undefined): boolean {
    if (this.socket.readableEnded) return true
    // Without the native core, or where it is no TCP connection.
    if (!sight || Number.isNaN(sight.state)) return false
    const { state, probes, bytesAcked } = sight
    this.#ackedBefore = bytesAcked
    if (state === TcpState.ESTABLISHED) return probes > 0
    this.#heed(sight)
    return true
  }

  /** What the kernel knows, and Node has yet to be told, or was told and said nothing. */
  #heed({ state, probes }: Pick<Sight, 'state' | 'probes'>): void {
    // Where this side has ended it, too, both may have agreed.
    if (state === TcpState.CLOSE && (probes > 0 || !this.socket.writableEnded)) {
      this.#failure ??= probes > 0 ? 'timedOut' : 'reset'
    } else if (state === TcpState.CLOSE_WAIT || state === TcpState.LAST_ACK) this.#peerClosed = true
  }

  /** How it ended, where Node closed it without reporting anything. */
  #heedClose(): void {
    const { state = Number.NaN, errno, final } = closeSnapshotOf(this.socket) ?? {}
    if (errno === undefined) this.#heed({ state, probes: final?.info.probes ?? 0 })
    else if (isTimeout(errno)) this.#failure = 'timedOut'
    // A reset that follows the peer's FIN.
    else if (errno === 'EPIPE') this.#peerClosed = true
    else if (!this.socket.writableEnded) this.#failure = 'reset'
  }

  /** Whether the peer has acknowledged anything since it was last looked at; `undefined` where nobody knows. */
  hasAcknowledged(): boolean | undefined {
    const before = this.#ackedBefore
    const sight = descriptorOf(this.socket) >= 0 ? lookAtAll([this.socket])?.[0] : undefined
    const now = sight?.bytesAcked ?? closeSnapshotOf(this.socket)?.bytesAcked ?? Number.NaN
    return Number.isNaN(now) || Number.isNaN(before) ? undefined : now > before
  }
}

/** Whether the server has said that it closes the connection after this request, and not because it was asked to. */
function hasBeenCalledLast(request: Sent): boolean {
  return hasClose(request.res?.headers.connection) && !hasClose(request.getHeader('connection'))
}

function hasClose(header: unknown): boolean {
  return /\bclose\b/i.test(String(header ?? ''))
}
