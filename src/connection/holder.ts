import net from 'node:net'
import { type Emitter, listenShared } from './shared-listener.js'
import { webSocketUnder } from './websocket-stream.js'

// Objects that have a connection without being a net.Socket. They are recognised by their members, because checking for
// their classes would require loading the libraries.

// biome-ignore lint/suspicious/noExplicitAny: each kind reads members that its `is` has checked
type Members = Record<string, any>

/** The events of a holder that gets its connection, gets another one, or closes. */
interface Changes {
  readonly emitter: Emitter
  readonly events: readonly string[]
}

/** One kind of object that holds a connection. */
interface Kind {
  is(holder: Members): boolean
  /** The socket that it has now, or the next holder on the way to it; `undefined` or `null` if it has none. */
  inner(holder: Members): unknown
  /** Whether a holder without a connection will get none. Default: yes. */
  isClosed?(holder: Members): boolean
  /** Default: none, because `inner` never changes. */
  changes?(holder: Members): readonly Changes[]
  /** Whether it reconnects after its connection has ended. */
  readonly reconnects?: boolean
  /** What to wait for if there is no connection yet, in words, for error messages. The caller's target emits the event. */
  waitFor(holder: Members): string
}

const nothing: readonly Changes[] = []

const webSocket: Kind = {
  is: (it) =>
    typeof it.readyState === 'number' && typeof it.ping === 'function' && typeof it.terminate === 'function',
  inner: (it) => it._socket ?? (it.readyState === 0 ? it._req : undefined),
  isClosed: (it) => it.readyState > 1,
  // A redirect ends one connection and opens another.
  changes: (it) =>
    it.readyState === 0 ? [{ emitter: it as never, events: ['redirect', 'open', 'close'] }] : nothing,
  waitFor: () => "wait for its 'open' event",
}

const http2Session: Kind = {
  is: (it) => typeof it.goaway === 'function' && 'socket' in it,
  // The proxy in `socket` throws once the session is destroyed.
  inner: (it) => (it.destroyed ? undefined : it.socket),
  isClosed: (it) => it.destroyed,
  waitFor: () => "wait for its 'connect' event",
}

const http2Stream: Kind = {
  is: (it) => 'session' in it && 'rstCode' in it,
  inner: (it) => it.session,
  waitFor: () => "wait for its session's 'connect' event",
}

/** Http2ServerRequest and Http2ServerResponse. Their `socket` turns into a stream once the stream is closed. */
const http2Message: Kind = {
  is: (it) => isObject(it.stream) && http2Stream.is(it.stream),
  inner: (it) => it.stream,
  waitFor: http2Stream.waitFor,
}

const fastifyMessage: Kind = {
  is: (it) => isObject(it.raw) && 'socket' in it.raw,
  inner: (it) => it.raw,
  waitFor: () => "wait for the 'socket' event of its `raw` property",
}

/** A Socket of socket.io on the server's side. */
const socketIoSocket: Kind = {
  is: (it) => 'nsp' in it && isObject(it.conn),
  inner: (it) => it.conn,
  waitFor: () => 'wait for the next poll of its client',
}

/** socket.io's `conn`. Each long poll may use another connection, and so does an upgrade. */
const engineSocket: Kind = {
  is: (it) => isObject(it.transport) && isObject(it.request) && 'upgraded' in it,
  inner: (it) => it.transport.socket ?? it.transport.req ?? it.request,
  isClosed: (it) => it.readyState === 'closed',
  changes: (it) => {
    if (it.readyState === 'closed') return nothing
    const ended = { emitter: it as never, events: ['upgrade', 'close'] }
    if (it.transport.name !== 'polling') return [ended]
    return [ended, { emitter: it.transport, events: ['ready'] }]
  },
  waitFor: socketIoSocket.waitFor,
}

const socketIoClient: Kind = {
  is: (it) => 'nsp' in it && isObject(it.io) && 'engine' in it.io,
  inner: (it) => it.io,
  // Long polling does not expose its connection. The one of the upgrade is exposed.
  waitFor: (it) =>
    it.connected ? "wait for the 'upgrade' event of its io.engine" : "wait for its 'connect' event",
}

const socketIoManager: Kind = {
  is: (it) => 'engine' in it && typeof it.reconnection === 'function',
  inner: (it) => it.engine,
  isClosed: (it) => it._readyState === 'closed' && it.reconnection() !== true,
  changes: (it) => [{ emitter: it as never, events: ['open'] }],
  reconnects: true,
  waitFor: () => "wait for its 'open' event",
}

/** Long polling uses XMLHttpRequest, which does not expose its connection. The one of the upgrade is exposed. */
const engineClient: Kind = {
  is: (it) => 'writeBuffer' in it && typeof it.createTransport === 'function',
  inner: (it) => it.transport?.ws,
  isClosed: (it) => it.readyState === 'closed',
  changes: (it) =>
    it.readyState === 'closed' ? nothing : [{ emitter: it as never, events: ['open', 'upgrade', 'close'] }],
  waitFor: (it) =>
    it.transport?.name === 'polling'
      ? "wait for its 'upgrade' event: long polling shows no connection"
      : "wait for its 'open' event",
}

/** A stream of ws's createWebSocketStream, such as the `stream` of an mqtt client over ws://. */
const webSocketStream: Kind = {
  is: (it) => webSocketUnder(it) !== undefined,
  inner: (it) => webSocketUnder(it),
  waitFor: () => "wait for the 'open' event of its WebSocket",
}

/** ClientRequest, IncomingMessage, ServerResponse, and any other object that has a connection as `socket` or `_socket`. */
const message: Kind = {
  is: (it) => 'socket' in it || '_socket' in it,
  inner: (it) => it.socket ?? it._socket,
  isClosed: (it) => it.destroyed === true || it.writableFinished === true || !isEmitter(it),
  // A request gets its socket when the agent has one for it. A response gets it when earlier responses on the connection are done.
  changes: (it) =>
    isObject(it.socket ?? it._socket) || !isEmitter(it)
      ? nothing
      : [{ emitter: it as never, events: ['socket', 'close'] }],
  waitFor: (it) =>
    isObject(it.socket ?? it._socket)
      ? "wait for the 'connect' event of its socket"
      : "wait for its 'socket' event",
}

const kinds: readonly Kind[] = [
  webSocket,
  http2Session,
  http2Stream,
  http2Message,
  fastifyMessage,
  socketIoSocket,
  engineSocket,
  socketIoClient,
  socketIoManager,
  engineClient,
  message,
  webSocketStream,
]

function kindOf(holder: unknown): Kind | undefined {
  return isObject(holder) ? kinds.find((kind) => kind.is(holder)) : undefined
}

/** The most holders that can lie between a target and its socket. More than that is a cycle. */
const DEEPEST = 8

/** The state of a holder. */
export interface Standing {
  /** The socket that it has, which may be connecting. */
  readonly socket: net.Socket | undefined
  /** Like `socket`, but also a destroyed socket while the holder waits for another one. */
  readonly lastSocket: net.Socket | undefined
  /** Whether it has no socket and will get none. */
  readonly isClosed: boolean
  /** What to wait for if there is no socket yet, or the socket is connecting. */
  readonly waitFor: string
  readonly changes: readonly Changes[]
}

/** The current state of a holder; `undefined` if the object is not a holder. */
export function standingOf(target: object): Standing | undefined {
  const changes: Changes[] = []
  let inner: unknown = target
  let reconnects = false
  let waitFor = ''
  for (let depth = 0; depth < DEEPEST; depth++) {
    if (inner instanceof net.Socket) {
      // A holder that will get another connection is not closed when this one is.
      const isOver = inner.destroyed && changes.length > 0
      return { socket: isOver ? undefined : inner, lastSocket: inner, isClosed: false, waitFor, changes }
    }
    const kind = kindOf(inner)
    if (!kind) return undefined
    const holder = inner as Members
    const isClosed = kind.isClosed?.(holder) ?? true
    changes.push(...(kind.changes?.(holder) ?? nothing))
    if (depth === 0) waitFor = kind.waitFor(holder)
    reconnects ||= kind.reconnects === true && !isClosed
    inner = kind.inner(holder)
    if (inner === undefined || inner === null) {
      return { socket: undefined, lastSocket: undefined, isClosed: isClosed && !reconnects, waitFor, changes }
    }
  }
  return undefined
}

/** Whether a holder has no connection and will get none. `false` if the value is not a holder. */
export function isClosedHolder(target: unknown): boolean {
  return isObject(target) && standingOf(target)?.isClosed === true
}

/** The socket that a holder has now; `null` if it has none, `undefined` if the object is not a holder. */
export function heldSocket(target: object): net.Socket | null | undefined {
  const standing = standingOf(target)
  return standing && (standing.lastSocket ?? null)
}

/** The socket of a holder that will not get another one; `undefined` for other holders. */
export function settledSocket(target: object): net.Socket | undefined {
  const standing = standingOf(target)
  return standing?.changes.length === 0 ? standing.socket : undefined
}

/** Receives the connections of a holder. */
export interface HolderListener {
  /** The holder has this socket now, which may be connecting. The first one may be reported before {@link follow} returns. */
  connection(socket: net.Socket): void
  /** There will be no other connection. */
  ended(): void
}

/**
 * Reports the connection that a holder has, and each one that it gets later: a request that waits for its socket, a socket.io Socket after an
 * upgrade.
 *
 * @returns a function that stops it, or `undefined` if there will be no other connection.
 */
export function follow(target: object, listener: HolderListener): (() => void) | undefined {
  let current: net.Socket | undefined
  let releases: readonly (() => void)[] = []
  let isStopped = false

  const stop = () => {
    isStopped = true
    for (const release of releases) release()
    releases = []
  }
  const update = () => {
    if (isStopped) return
    const standing = standingOf(target)
    const socket = standing?.socket
    if (socket && socket !== current) {
      current = socket
      listener.connection(socket)
    }
    if (isStopped) return
    const before = releases
    releases = []
    const isOver = !standing || standing.isClosed || standing.changes.length === 0
    if (!isOver) {
      // Run before the program's own listeners, so that they get a tuned connection.
      releases = standing.changes.flatMap(({ emitter, events }) =>
        events.map((event) => listenShared(emitter, event, update)),
      )
    }
    for (const release of before) release()
    if (!isOver) return
    isStopped = true
    listener.ended()
  }
  update()
  return isStopped ? undefined : stop
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null
}

function isEmitter(value: Members): boolean {
  return typeof value.on === 'function' && typeof value.off === 'function'
}
