import diagnostics from 'node:diagnostics_channel'
import { EventEmitter, on } from 'node:events'
import net from 'node:net'
import { types } from 'node:util'
import { type AcceptingServer, acceptedEvent } from '../connection/accepting-server.js'
import { BorrowedSocket } from '../connection/borrowed.js'
import type { Endpoint } from '../connection/endpoints.js'
import { onFurtherServer } from '../connection/further-servers.js'
import { follow, type Standing, standingOf } from '../connection/holder.js'
import { isServer, isWithoutServer, type ServerTarget, serversOf } from '../connection/listening.js'
import { checkNoTarget, notATarget } from '../connection/not-a-target.js'
import { noSocket, type OwnTarget, socketNow, unwrap } from '../connection/target.js'
import { DeadpeerError, type DeathReason, InvalidTypeError, type PeerDeathError } from '../errors.js'
import { nativeCore, requireCore } from '../kernel/binding.js'
import type { KernelEvent as Sighting } from '../kernel/deathwatch.js'
import { silentFor, type TcpInfo } from '../kernel/tcp-info.js'
import { abortSignal, anything, checkOptions, describe, type Options } from '../options/check.js'
import { createEvent } from './event.js'
import { checkHeartbeat, type HeartbeatOptions } from './heartbeat-options.js'
import type { Heartbeat } from './heartbeat-state.js'
import { type Found, type Owner, Watched } from './watched.js'

/** What can be watched: a connection of this process, however one holds it, but for a bare descriptor. */
export type WatchTarget = Exclude<OwnTarget, number>

/** Which connection an event of a watcher is about. */
export interface WatchedConnection {
  /** The `net.Socket` or `tls.TLSSocket`, also where it was added by way of a request or session. */
  readonly socket: net.Socket
  /** The peer's address. `socket.remoteAddress` is `undefined` once the connection has ended. */
  readonly remote: Endpoint
  /** The address of this side. */
  readonly local: Endpoint
}

/** A connection whose peer is gone. `console.log` shows it without the socket's own fields. */
export interface Death extends WatchedConnection {
  /** What it died of. */
  readonly reason: DeathReason
  /** Why, in words. */
  readonly evidence: string
  /** Who was first to see it. `node`: the socket was being read or written, so Node had the error at once. */
  readonly detectedBy: 'kernel' | 'heartbeat' | 'node'
  /**
   * Always a {@link PeerDeathError}, with which the socket is destroyed. Where Node found the death first (`detectedBy` is `node`), the
   * socket emits Node's own error instead, which is the `cause` of this one.
   */
  readonly error: PeerDeathError<TcpInfo>
  /** The kernel's counters at the end. Absent without the native core. */
  readonly info?: TcpInfo
  /** How long the peer had not been heard, in ms. Absent where `info` is. */
  readonly silentFor?: number
}

/** A connection whose peer has closed its side (FIN). What it sent before is still there to be read. */
export interface Closing extends WatchedConnection {
  /** The kernel's counters then. Absent where Node was first to see it. */
  readonly info?: TcpInfo
}

/** What a watcher does, for {@link watch}. */
export interface WatchOptions {
  /**
   * What becomes of a socket whose peer is dead. `'destroy'`, the default: it is destroyed with a {@link PeerDeathError}. `'report'`: it
   * is left as it is, its error to Node. A function decides for each death; if it returns nothing, that means `'report'`. If it throws or
   * returns anything else, the socket is left as it is too, and the error becomes an uncaught exception, as that of a listener does. An
   * async function is refused: the decision cannot wait.
   */
  onDead?: OnDead
  /**
   * Asks peers that have not been heard for a while, instead of waiting for the kernel's own clock; see {@link watch}. Default: none.
   */
  heartbeat?: HeartbeatOptions
  /** Closes the watcher when it is aborted. */
  signal?: AbortSignal
}

/** How {@link Watcher.add} watches. */
export interface AddOptions {
  /** For these, or what this server accepts: instead of the watcher's; `false`: none. Also where it is watched already. */
  heartbeat?: HeartbeatOptions | false
}

/**
 * Something the peer should have answered is unanswered: a probe, or data that is being sent again. For a quarter of a second at least,
 * and longer where the path takes longer (`tcpi_rto`).
 */
export interface Suspicion extends WatchedConnection {
  /** Why, in words. */
  readonly evidence: string
  /** How long the peer has not been heard, in ms. */
  readonly silentFor: number
}

/** A peer that was suspect has been heard. */
export interface Recovery extends WatchedConnection {}

/** What has a connection, or gets one: a request, a WebSocket. */
interface Holder {
  heartbeat: Given
  stop(): void
}

/** A heartbeat for some; `undefined`: the watcher's, `false`: none. */
type Given = Heartbeat | false | undefined

/** @inline */
type Action = 'destroy' | 'report'
/** @inline */
// biome-ignore lint/suspicious/noConfusingVoidType: `undefined` would refuse (death) => console.log(death)
type Decision = Action | void
/**
 * What becomes of a socket whose peer is dead: always the same, or as a function decides for each death. A function that returns nothing
 * means `'report'`. It must not be async.
 */
export type OnDead = Action | ((death: Death) => Decision)

/** Every socket ever added is in one of the other four. */
export interface WatchStats {
  /** How many sockets were ever added. */
  readonly added: number
  /** Those that are watched now. */
  readonly watching: number
  /** Those whose peers were gone. */
  readonly dead: number
  /** Closed by the program, or by both sides, or never connected. */
  readonly closed: number
  /** Taken out by `delete` or `close`. */
  readonly removed: number
}

/** What a {@link Watcher} emits. */
export interface WatcherEvents {
  /** A peer is gone. Once for each connection. */
  dead: [death: Death]
  /** A peer may be gone. */
  suspect: [suspicion: Suspicion]
  /** A peer that was suspect has been heard. */
  recover: [recovery: Recovery]
  /** A peer has closed its side. */
  closing: [closing: Closing]
  /** A connection that a server accepted, or that was connecting when it was added, could not be watched. */
  error: [error: Error]
  /** The watcher was closed. */
  close: []
}

const deaths = diagnostics.channel('deadpeer:death')

/** Watches connections for the death of their peers. Made by {@link watch}. */
export class Watcher extends EventEmitter<WatcherEvents> implements Disposable {
  readonly #core = nativeCore()
  readonly #onDead: OnDead
  readonly #heartbeat: Heartbeat | undefined
  readonly #signal: AbortSignal | undefined
  readonly #sockets = new Map<net.Socket, Watched>()
  readonly #holders = new Map<object, Holder>()
  readonly #servers = new Map<AcceptingServer, (accepted: WatchTarget) => void>()
  /** By target, what stops listening for the further servers that it opens. */
  readonly #opening = new Map<object, () => void>()
  /** What the `add` of a list that is under way has added so far. */
  #justAdded: Watched[] | undefined
  #closed = false
  #added = 0
  #died = 0
  #ended = 0

  /** @internal by {@link watch} alone. */
  constructor(onDead: OnDead, heartbeat: Heartbeat | undefined, signal: AbortSignal | undefined) {
    super()
    this.#onDead = onDead
    this.#heartbeat = heartbeat
    this.#signal = signal
    const emitter: EventEmitter = this as EventEmitter
    emitter.on('newListener', this.#onListener)
    emitter.on('removeListener', this.#onListener)
    signal?.addEventListener('abort', this.#onAbort)
  }

  /** How many sockets are watched. */
  get size(): number {
    return this.#sockets.size
  }

  /**
   * Watches a connection; or what a server accepts from now on (of a TLS server what has shaken hands); or all of an iterable of
   * these. One that is still connecting, and a request or WebSocket that has no connection yet, is watched once it is connected. A
   * socket.io Socket stays watched when its transport is upgraded. What is watched already stays so, once.
   *
   * Of an iterable, one bad item does not keep the others from being watched. One that is closed already counts as `closed` in
   * {@link stats}. What is no TCP connection is announced as `error`, after `add` has returned.
   *
   * @throws {@link InvalidTypeError}, {@link OutOfRangeError} for bad options. For a single target {@link InvalidTypeError} for what is no
   * connection, a bare descriptor, or a borrowed socket; {@link DeadpeerError} `ERR_SOCKET_CLOSED`, `ERR_NOT_TCP`. In any case
   * `ERR_WATCHER_CLOSED`, or the errno where there are no descriptors or threads left to watch with (`EMFILE`, `EAGAIN`, `ENOSPC`). Nothing
   * of it is watched then.
   */
  add(
    target: WatchTarget | ServerTarget | Iterable<WatchTarget | ServerTarget>,
    options: AddOptions = {},
  ): this {
    const heartbeat = checkAddOptions(options)
    if (this.#closed) {
      throw new DeadpeerError('ERR_WATCHER_CLOSED', 'The watcher was closed; watch() makes another.')
    }
    if (isIterable(target)) this.#addAll(target, heartbeat)
    else this.#addOne(target, heartbeat)
    return this
  }

  /** Stops watching. Returns whether it was watched. What a server has accepted so far stays. */
  delete(target: WatchTarget | ServerTarget): boolean {
    if (isServer(target)) return this.#deleteServers(target)
    const isHeld = this.#deleteHolder(target)
    const watched = this.#find(target)
    if (watched) this.#forget(watched)
    return isHeld || watched !== undefined
  }

  /** Whether it is watched: of a server, whether what it accepts will be; of what is not connected yet, whether it will be then. */
  has(target: WatchTarget | ServerTarget): boolean {
    if (isServer(target)) return acceptorsNow(target).some((server) => this.#servers.has(server))
    return this.#holders.has(target) || this.#find(target) !== undefined
  }

  /** What has become of all that were added. */
  stats(): WatchStats {
    const [added, watching, dead, closed] = [this.#added, this.size, this.#died, this.#ended]
    return { added, watching, dead, closed, removed: added - watching - dead - closed }
  }

  /** Watches nothing any more, and ends all iterations. The sockets stay as they are. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#signal?.removeEventListener('abort', this.#onAbort)
    for (const stop of this.#opening.values()) stop()
    for (const server of this.#servers.keys()) this.#deleteServer(server)
    for (const holder of this.#holders.keys()) this.#deleteHolder(holder)
    for (const watched of this.#sockets.values()) this.#forget(watched)
    this.emit('close')
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** The deaths from now on, until the watcher is closed. Waiting for one does not hold the process open. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Death, void, undefined> {
    if (this.#closed) return
    for await (const [death] of on(this, 'dead', { close: ['close'] })) yield death as Death
  }

  readonly #onAbort = () => this.close()

  #addOne(target: WatchTarget | ServerTarget, heartbeat: Given): void {
    if (target instanceof net.Socket) this.#addSocket(unwrap(target), heartbeat)
    else if (isServer(target)) this.#addServers(target, heartbeat)
    else this.#addHolder(target, heartbeat)
  }

  #addSocket(socket: net.Socket, heartbeat: Given): void {
    const known = this.#sockets.get(socket)
    if (known) {
      if (heartbeat !== undefined) known.beat(this.#chosen(heartbeat))
      return
    }
    const watched = new Watched(this.#core, socket, this.#owner, this.#chosen(heartbeat))
    watched.start()
    this.#sockets.set(socket, watched)
    this.#added++
    this.#justAdded?.push(watched)
  }

  /** What has a connection, or gets one. */
  #addHolder(target: Exclude<WatchTarget, net.Socket>, heartbeat: Given): void {
    const { isClosed } = standingFor(target)
    const known = this.#holders.get(target)
    if (known) {
      if (heartbeat !== undefined) known.heartbeat = heartbeat
      const socket = socketNow(target)
      if (socket) this.#addSocket(unwrap(socket), heartbeat)
      return
    }
    if (isClosed) throw noSocket(target)
    const holder: Holder = { heartbeat, stop: () => {} }
    const addNow = (socket: net.Socket) => this.#addSocket(unwrap(socket), holder.heartbeat)
    let connection = addNow
    const stop = follow(target, {
      connection: (socket) => connection(socket),
      ended: () => this.#holders.delete(target),
    })
    connection = (socket) => this.#addLater(() => socket.destroyed || addNow(socket))
    if (!stop) return
    holder.stop = stop
    this.#holders.set(target, holder)
  }

  #deleteHolder(target: object): boolean {
    this.#holders.get(target)?.stop()
    return this.#holders.delete(target)
  }

  /** All of them that can be watched. Where the system runs out of something, none. */
  #addAll(targets: Iterable<WatchTarget | ServerTarget>, heartbeat: Given): void {
    const all = [...targets]
    const added: Watched[] = []
    const heldBefore = new Set(this.#holders.keys())
    this.#justAdded = added
    try {
      for (const each of all) if (!isServer(each)) this.#addOrRefuse(each, heartbeat)
    } catch (error) {
      for (const each of all) if (!heldBefore.has(each as object)) this.#deleteHolder(each as object)
      for (const watched of added) this.#forget(watched)
      this.#added -= added.length
      throw error
    } finally {
      this.#justAdded = undefined
    }
    for (const each of all) if (isServer(each)) this.#addOrRefuse(each, heartbeat)
  }

  #addOrRefuse(target: WatchTarget | ServerTarget, heartbeat: Given): void {
    try {
      this.#addOne(target, heartbeat)
    } catch (error) {
      if (!isOfTarget(error)) throw error
      this.#refused(error)
    }
  }

  /** One of many that cannot be watched. A connection that has ended is no error. */
  #refused(error: Error): void {
    if ((error as DeadpeerError).code === 'ERR_SOCKET_CLOSED') {
      this.#added++
      this.#ended++
    } else {
      // The program may add its listener after `add`.
      process.nextTick(() => {
        if (!this.#closed) this.#announce('error', error)
      })
    }
  }

  #addLater(add: () => unknown): void {
    try {
      add()
    } catch (error) {
      this.#announce('error', error as Error)
    }
  }

  #addServers(target: ServerTarget, heartbeat: Given): void {
    for (const server of acceptorsOf(target)) this.#addServer(server, heartbeat)
    if (target instanceof net.Server) return
    this.#opening.get(target)?.()
    this.#opening.set(
      target,
      onFurtherServer(target, (server) => this.#addServer(server, heartbeat)),
    )
  }

  #addServer(server: AcceptingServer, heartbeat: Given): void {
    if (this.#servers.has(server)) {
      if (heartbeat === undefined) return
      this.#deleteServer(server)
    }
    const onAccepted = (accepted: WatchTarget) => {
      const socket = socketNow(accepted)
      if (socket && !socket.destroyed) this.#addLater(() => this.#addSocket(unwrap(socket), heartbeat))
    }
    this.#servers.set(server, onAccepted)
    // Before the program's own listeners, which may destroy it or add it themselves.
    server.prependListener(acceptedEvent(server), onAccepted)
  }

  #deleteServers(target: ServerTarget): boolean {
    this.#opening.get(target)?.()
    this.#opening.delete(target)
    return acceptorsNow(target)
      .map((server) => this.#deleteServer(server))
      .includes(true)
  }

  #deleteServer(server: AcceptingServer): boolean {
    const onAccepted = this.#servers.get(server)
    if (!onAccepted) return false
    server.off(acceptedEvent(server), onAccepted)
    return this.#servers.delete(server)
  }

  #find(target: WatchTarget): Watched | undefined {
    const watched = this.#sockets.get(target as net.Socket)
    if (watched) return watched
    try {
      const socket = socketNow(target)
      return socket && this.#sockets.get(unwrap(socket))
    } catch {
      // What is no connection, or one no more, is not watched.
      return undefined
    }
  }

  #forget(watched: Watched): void {
    watched.stop()
    this.#sockets.delete(watched.socket)
  }

  /** Nobody who does not ask for suspicion pays for it. */
  readonly #onListener = (name: string | symbol) => {
    if (name !== 'suspect' && name !== 'recover') return
    // Once the listener is there, or gone.
    queueMicrotask(() => {
      const wantsSuspicion = this.listenerCount('suspect') + this.listenerCount('recover') > 0
      if (wantsSuspicion === this.#owner.wantsSuspicion) return
      this.#owner.wantsSuspicion = wantsSuspicion
      for (const watched of this.#sockets.values()) watched.startMonitor()
    })
  }

  #chosen(heartbeat: Given): Heartbeat | undefined {
    return heartbeat === undefined ? this.#heartbeat : heartbeat || undefined
  }

  readonly #owner: Owner & { wantsSuspicion: boolean } = {
    wantsSuspicion: false,
    hearsClosing: () => this.listenerCount('closing') > 0,
    suspected: (watched, evidence, silentFor) =>
      this.#announce('suspect', createEvent({ ...connectionIn(watched), evidence, silentFor })),
    recovered: (watched) => this.#announce('recover', createEvent(connectionIn(watched))),
    closing: (watched: Watched, sighting: Sighting | undefined) => {
      // Every connection ends, and hardly anybody listens.
      if (this.listenerCount('closing') === 0) return
      const info = sighting?.info
      this.#announce('closing', createEvent({ ...connectionIn(watched), ...(info && { info }) }))
    },
    died: (watched: Watched, found: Found) => {
      const final = this.#act(watched, found)
      // Taken out by the function that decided; or closed in order, and not read to its end yet.
      if (!final || watched.isStopped) return
      const death = deathOf(watched, final)
      this.#forget(watched)
      this.#died++
      // A death is published once, however many watch.
      if (deaths.hasSubscribers && !watched.record.isDeathPublished) {
        watched.record.isDeathPublished = true
        deaths.publish(death)
      }
      this.#announce('dead', death)
    },
    closed: (watched: Watched) => {
      this.#forget(watched)
      this.#ended++
    },
    failed: (watched: Watched, error: Error) => {
      this.#owner.closed(watched)
      this.#announce('error', error)
    },
  }

  /** Does what is to be done about a death. Returns it as it is known after that; `undefined` where it turned out to be none. */
  #act(watched: Watched, found: Found): Found | undefined {
    // Node has seen to it; or the peer had said all it had to say, and it is all there.
    if (watched.socket.destroyed || watched.isToBeRead) return found
    const action =
      typeof this.#onDead === 'string' ? this.#onDead : decide(this.#onDead, deathOf(watched, found))
    return action === 'destroy' && !watched.isStopped ? watched.destroy(found) : found
  }

  /** A listener that throws ends the program as it would elsewhere, once the other deaths of the turn have been told. */
  #announce<Name extends keyof WatcherEvents>(name: Name, ...args: WatcherEvents[Name]): void {
    try {
      ;(this as EventEmitter).emit(name, ...args)
    } catch (error) {
      throwLater(error)
    }
  }
}

/**
 * Tells when a connection's peer is dead: once the kernel has given it up, by the settings of {@link tune}. Also where Node
 * would not notice, as nobody reads the socket. The socket is then destroyed, with a code that programs handle already.
 *
 * Costs nothing until a peer dies: its one thread sleeps. Neither it nor waiting for a death holds the process open. A peer that
 * closes its side is announced as `closing` and is not destroyed: what it sent stays readable. Where it dies after that, the socket
 * is destroyed if all of it has been read.
 *
 * An orderly close is no death. A connection that both sides have finished with counts as closed, also where the peer resets it afterwards, as TLS
 * peers do that do not wait for a close_notify. Where Node reads or writes a socket, Node decides whether a reset is an error.
 *
 * `death.error` always is a {@link PeerDeathError}, with which the socket is destroyed. Where Node found the death first (`detectedBy` is
 * `node`), the socket emits Node's own error instead, which is the `cause` of `death.error`.
 *
 * `reason` comes from the kernel's counters, and `unreachable` from the socket's error in addition. Reading that takes it away
 * from Node, so it is read only where the socket is being destroyed: with `'report'`, and when a function decides, such
 * a death is a `user-timeout` or `retransmission`.
 *
 * **Suspicion**, for who listens to `suspect` or `recover`: by looking at the kernel's counters now and then, as often as the connection's own
 * settings demand. One with an `initialDelay` of 30 s that was heard 2 s ago cannot be in trouble for 28 s, so nobody looks. It comes at
 * least one `interval` before the kernel gives the peer up, where it asks twice or more and the path is not slower than that. Each
 * `suspect` ends with `recover`, once the peer has been heard, or with the connection.
 *
 * **Heartbeat**: a peer that has not been heard for `every` is asked as by {@link probe}, and is `dead` of `heartbeat` when `attempts`
 * questions went unanswered. With `{ every: 1_000 }` that is within 3 s, where keepalive with as many probes takes 4. A peer that sends or acknowledges
 * anything is not asked. Where the kernel is asking, by keepalive, retransmission or the probes of a closed window, nothing is
 * added to it: as many of those must have gone unanswered. So a peer that is alive and does not read stays, which `userTimeout` would end.
 * One that has closed its side is left to the kernel's clock. Loss kills: a share p of probes or answers lost ends a
 * living peer with a probability of p to the power of `attempts` at each beat.
 *
 * Neither holds the process open. Both see to thousands of connections in slices of a millisecond of the event loop.
 *
 * Without the native core there is neither suspicion nor heartbeat (`ERR_UNSUPPORTED_PLATFORM`), and it tells only what Node notices, as `detectedBy: 'node'`, with no counters: an `ETIMEDOUT` is
 * then always called `keepalive`.
 *
 * A listener or `onDead` that throws has its error thrown as an uncaught exception, as in Node, once the other deaths of the same turn of the
 * event loop have been told. The other sockets stay watched.
 *
 * Every death is published once on the `node:diagnostics_channel` `deadpeer:death`, too.
 *
 * @throws {@link InvalidTypeError}, {@link OutOfRangeError} for bad options; {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM` for a
 * heartbeat without the native core; the reason of a `signal` that is aborted already.
 * @example
 * ```ts
 * const watcher = watch()
 * watcher.add(server) // what it accepts from now on
 * watcher.add(socket)
 * watcher.on('dead', ({ remote, reason, evidence }) => console.log(remote.address, reason, evidence))
 * server.on('connection', (socket) => socket.on('error', () => {})) // a socket that is destroyed emits 'error'
 * ```
 * @example
 * ```ts
 * const watcher = watch({ heartbeat: { every: 5_000 } })
 * watcher.on('suspect', ({ socket, evidence }) => pool.setAside(socket, evidence))
 * watcher.on('recover', ({ socket }) => pool.takeBack(socket))
 * watcher.add(server).add(control, { heartbeat: { every: 1_000, attempts: 5 } })
 * server.on('connection', (socket) => socket.on('error', () => {}))
 * ```
 * @example
 * ```ts
 * for await (const { reason, silentFor } of watch({ onDead: 'report' }).add(pool)) …
 * ```
 */
export function watch(options: WatchOptions = {}): Watcher {
  checkNoTarget(options)
  const { onDead = 'destroy', heartbeat, signal } = checkOptions(options, watchOptions)
  signal?.throwIfAborted()
  return new Watcher(onDead, heartbeat === undefined ? undefined : heartbeatFor(heartbeat), signal)
}

function connectionIn({ socket, endpoints: { remote, local } }: Watched): WatchedConnection {
  return { socket, remote, local }
}

function deathOf(watched: Watched, { detectedBy, error }: Found): Death {
  const { reason, evidence, info } = error
  const known = info && { info, silentFor: silentFor(info) }
  return createEvent({ ...connectionIn(watched), reason, evidence, detectedBy, error, ...known })
}

/** What `onDead` says of a death. A function that fails leaves the socket as it is. */
function decide(onDead: (death: Death) => unknown, death: Death): Action {
  try {
    const action = onDead(death)
    return action === undefined ? 'report' : checkAction(action)
  } catch (error) {
    throwLater(error)
    return 'report'
  }
}

/** @throws for what cannot be watched. */
function standingFor(target: WatchTarget): Standing {
  if (typeof target === 'number') {
    const message = 'A bare descriptor cannot be watched: there is no socket to listen to. Pass the socket.'
    throw new InvalidTypeError(message, { field: 'target' })
  }
  if (target instanceof BorrowedSocket) {
    const message =
      "Another process's socket cannot be watched: it is held for one call. inspect it now and then."
    throw new InvalidTypeError(message, { field: 'target' })
  }
  const standing = typeof target === 'object' && target !== null ? standingOf(target) : undefined
  if (standing) return standing
  throw notATarget(target)
}

/** What emits the connections that a server accepts. */
function acceptorsOf(target: ServerTarget): readonly AcceptingServer[] {
  return isWithoutServer(target) ? [target] : serversOf(target)!
}

/** The same, without complaint where there is none any more. */
function acceptorsNow(target: ServerTarget): readonly AcceptingServer[] {
  try {
    return acceptorsOf(target)
  } catch {
    return []
  }
}

/** Whether an error is about one target, not about what this process or the system has run out of. */
function isOfTarget(error: unknown): error is Error {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ERR_INVALID_ARG_TYPE' || code === 'ERR_NOT_TCP' || code === 'ERR_SOCKET_CLOSED'
}

function isIterable(target: unknown): target is Iterable<WatchTarget | ServerTarget> {
  return typeof target === 'object' && target !== null && Symbol.iterator in target
}

const watchOptions: Options<WatchOptions> = {
  of: 'watch()',
  example: "{ onDead: 'report' }",
  checks: {
    onDead: (value) => {
      if (types.isAsyncFunction(value)) throw notSynchronous('an async function')
      if (typeof value !== 'function') checkAction(value)
    },
    heartbeat: anything,
    signal: abortSignal,
  },
  otherNames: { every: 'heartbeat', attempts: 'heartbeat', ondeath: 'onDead', action: 'onDead' },
}

const addOptions: Options<AddOptions> = {
  of: 'add()',
  example: '{ heartbeat: false }',
  checks: { heartbeat: anything },
  otherNames: { every: 'heartbeat', attempts: 'heartbeat' },
}

function checkAddOptions(options: AddOptions): Given {
  const { heartbeat } = checkOptions(options, addOptions)
  return heartbeat === undefined || heartbeat === false ? heartbeat : heartbeatFor(heartbeat)
}

/** @throws where nobody could ask. */
function heartbeatFor(options: HeartbeatOptions): Heartbeat {
  const heartbeat = checkHeartbeat(options)
  requireCore('A heartbeat')
  return heartbeat
}

function checkAction(action: unknown): Action {
  if (action === 'destroy' || action === 'report') return action
  if (types.isPromise(action)) throw notSynchronous('a function that returns a Promise')
  throw new InvalidTypeError(
    `onDead must be 'destroy', 'report', or a function that returns one of them or nothing; got ${describe(action)}.`,
    { field: 'onDead' },
  )
}

function notSynchronous(what: string): InvalidTypeError {
  return new InvalidTypeError(
    `onDead must return 'destroy', 'report' or nothing at once; got ${what}. For async work listen to 'dead', and use onDead: 'report'.`,
    { field: 'onDead' },
  )
}

/** In the check phase of the event loop: by then all deaths that this turn's poll phase brought have been told. */
function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}
