import diagnostics from 'node:diagnostics_channel'
import { EventEmitter, on } from 'node:events'
import net from 'node:net'
import { type InspectOptions, inspect } from 'node:util'
import { isServer, type ServerTarget } from '../connection/listening.js'
import { socketNow, unwrap } from '../connection/target.js'
import { errorFrom } from '../connection/unreadable.js'
import { DeadpeerError } from '../errors.js'
import { nativeCore } from '../kernel/binding.js'
import { silentFor } from '../kernel/tcp-info.js'
import { tryOr } from '../options/try-or.js'
import { AcceptedConnections } from './accepted-connections.js'
import type { FoundDeath } from './cause.js'
import { createEvent, type Death, type WatchedConnection, type WatcherEvents } from './events.js'
import type { Heartbeat } from './heartbeat-state.js'
import type { Proof } from './monitor.js'
import { type Intake, TargetsNotConnectedYet } from './not-connected-yet.js'
import { decide, type OnDead, throwLater } from './on-dead.js'
import { type AddOptions, checkAddOptions, type HeartbeatChoice } from './watch-options.js'
import { isAboutTarget, isIterable, type Watchable, type WatchTarget } from './watch-target.js'
import { type SocketListener, WatchedSocket } from './watched-socket.js'

/** How many sockets a watcher has watched. `added` is the sum of the other four. */
export interface WatchStats {
  /** Sockets that were ever added. */
  readonly added: number
  /** Sockets that are watched now. */
  readonly watching: number
  /** Sockets whose peers were gone. */
  readonly dead: number
  /** Sockets that were closed by the program, or by both sides, or never connected. */
  readonly closed: number
  /** Sockets that were removed by `delete` or `close`. */
  readonly removed: number
}

const deaths = diagnostics.channel('deadpeer:death')

/** Watches connections for the death of their peers. Made by {@link watch}. */
export class Watcher extends EventEmitter<WatcherEvents> implements Disposable {
  readonly #core = nativeCore()
  readonly #onDead: OnDead
  readonly #heartbeat: Heartbeat | undefined
  readonly #proof: Proof
  readonly #signal: AbortSignal | undefined
  readonly #sockets = new Map<net.Socket, WatchedSocket>()
  readonly #notConnectedYet: TargetsNotConnectedYet
  readonly #accepted: AcceptedConnections
  /** The sockets that a running `add` of a list has added so far. */
  #justAdded: WatchedSocket[] | undefined
  #closed = false
  #added = 0
  #died = 0
  #ended = 0

  /** @internal Only {@link watch} calls it. */
  constructor(
    onDead: OnDead,
    heartbeat: Heartbeat | undefined,
    proof: Proof,
    signal: AbortSignal | undefined,
  ) {
    super()
    this.#proof = proof
    this.#onDead = onDead
    this.#heartbeat = heartbeat
    this.#signal = signal
    const intake: Intake = {
      now: (socket, choice) => this.#addSocket(socket, choice),
      later: (socket, choice) => this.#addLater(socket, choice),
    }
    this.#notConnectedYet = new TargetsNotConnectedYet(intake)
    this.#accepted = new AcceptedConnections(intake)
    const emitter: EventEmitter = this as EventEmitter
    emitter.on('newListener', this.#onListenersChange)
    emitter.on('removeListener', this.#onListenersChange)
    signal?.addEventListener('abort', this.#onAbort)
  }

  /** How many sockets are watched. */
  get size(): number {
    return this.#sockets.size
  }

  /**
   * Watches a connection, the connections that a server accepts from now on (for a TLS server, after their handshake), or every item of an
   * iterable of these. A connection that is still connecting, or a request or WebSocket that has no connection yet, is watched once it is
   * connected. A socket.io Socket stays watched when its transport is upgraded. Adding a watched connection again has no effect.
   *
   * In an iterable, a bad item does not affect the others. An item that is closed already counts as `closed` in {@link stats}. For an item that is not a TCP connection, `error` is emitted after `add` has returned.
   *
   * @throws {@link InvalidTypeError}, {@link OutOfRangeError} for bad options. For a single target {@link InvalidTypeError} if it is not a
   * connection, or is a bare descriptor or a borrowed socket; {@link DeadpeerError} `ERR_SOCKET_CLOSED`, `ERR_NOT_TCP`. For any target
   * `ERR_WATCHER_CLOSED`, or the errno if there are no descriptors or threads left (`EMFILE`, `EAGAIN`, `ENOSPC`). No item is watched then.
   */
  add(target: Watchable | Iterable<Watchable>, options: AddOptions = {}): this {
    const heartbeat = checkAddOptions(options)
    if (this.#closed) {
      throw new DeadpeerError('ERR_WATCHER_CLOSED', 'The watcher was closed; watch() makes another.')
    }
    if (isIterable(target)) this.#addAll(target, heartbeat)
    else this.#addOne(target, heartbeat)
    return this
  }

  /** Stops watching. Returns whether the target was watched. Connections that a server has accepted so far stay watched. */
  delete(target: WatchTarget | ServerTarget): boolean {
    if (isServer(target)) return this.#accepted.delete(target)
    const wasPending = this.#notConnectedYet.delete(target)
    const watched = this.#find(target)
    if (watched) this.#remove(watched)
    return wasPending || watched !== undefined
  }

  /** Whether a connection is watched, or will be once it is connected. For a server: whether the connections that it accepts will be watched. */
  has(target: WatchTarget | ServerTarget): boolean {
    if (isServer(target)) return this.#accepted.has(target)
    return this.#notConnectedYet.has(target) || this.#find(target) !== undefined
  }

  /** Counts all sockets that were added, by their present state. */
  stats(): WatchStats {
    const [added, watching, dead, closed] = [this.#added, this.size, this.#died, this.#ended]
    return { added, watching, dead, closed, removed: added - watching - dead - closed }
  }

  /** Stops watching everything, and ends all iterations. The sockets stay as they are. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#accepted.clear()
    this.#notConnectedYet.clear()
    for (const watched of this.#sockets.values()) this.#remove(watched)
    this.emit('close')
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** What `console.log` shows: the counts. */
  [inspect.custom](_depth: number, options: InspectOptions, print: typeof inspect): string {
    return `Watcher ${print(this.stats(), options)}`
  }

  /** The deaths from now on, until the watcher is closed. Waiting for one does not hold the process open. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Death, void, undefined> {
    if (this.#closed) return
    for await (const [death] of on(this, 'dead', { close: ['close'] })) yield death as Death
  }

  readonly #onAbort = () => this.close()

  #addOne(target: Watchable, heartbeat: HeartbeatChoice): void {
    if (target instanceof net.Socket) this.#addSocket(unwrap(target), heartbeat)
    else if (isServer(target)) this.#accepted.add(target, heartbeat)
    else this.#notConnectedYet.add(target, heartbeat)
  }

  #addSocket(socket: net.Socket, choice: HeartbeatChoice): void {
    const heartbeat = choice === undefined ? this.#heartbeat : choice || undefined
    const known = this.#sockets.get(socket)
    if (known) {
      if (choice !== undefined) known.setHeartbeat(heartbeat)
      return
    }
    const watched = new WatchedSocket(this.#core, socket, this.#listener, heartbeat, this.#proof)
    watched.start()
    this.#sockets.set(socket, watched)
    this.#added++
    this.#justAdded?.push(watched)
  }

  /** Adds a connection that a server accepted, or that a target got after `add`. */
  #addLater(socket: net.Socket, heartbeat: HeartbeatChoice): void {
    if (socket.destroyed) return
    try {
      this.#addSocket(socket, heartbeat)
    } catch (error) {
      this.#announce('error', error as Error)
    }
  }

  /** Adds all items that can be watched. If the system runs out of a resource, it adds none of them. */
  #addAll(targets: Iterable<Watchable>, heartbeat: HeartbeatChoice): void {
    const all = [...targets]
    const added: WatchedSocket[] = []
    const pendingBefore = this.#notConnectedYet.list()
    this.#justAdded = added
    try {
      for (const each of all) if (!isReadableServer(each)) this.#addOrAnnounce(each, heartbeat)
    } catch (error) {
      for (const each of all) if (!pendingBefore.has(each as object)) this.#notConnectedYet.delete(each)
      for (const watched of added) this.#remove(watched)
      this.#added -= added.length
      throw error
    } finally {
      this.#justAdded = undefined
    }
    for (const each of all) if (isReadableServer(each)) this.#addOrAnnounce(each, heartbeat)
  }

  /** Adds one item of a list. If it cannot be watched, the others still are. A closed connection is not an error. */
  #addOrAnnounce(target: Watchable, heartbeat: HeartbeatChoice): void {
    try {
      this.#addOne(target, heartbeat)
    } catch (thrown) {
      const error = errorFrom(thrown)
      if (!isAboutTarget(error)) throw error
      if ((error as DeadpeerError).code === 'ERR_SOCKET_CLOSED') {
        this.#added++
        this.#ended++
        return
      }
      // The program may add its listener after `add`.
      process.nextTick(() => {
        if (!this.#closed) this.#announce('error', error)
      })
    }
  }

  #find(target: WatchTarget): WatchedSocket | undefined {
    const watched = this.#sockets.get(target as net.Socket)
    if (watched) return watched
    try {
      const socket = socketNow(target)
      return socket && this.#sockets.get(unwrap(socket))
    } catch {
      // A target without a connection is not watched.
      return undefined
    }
  }

  #remove(watched: WatchedSocket): void {
    watched.stop()
    this.#sockets.delete(watched.socket)
  }

  /** Starts the sampling for suspicions with the first listener, and ends it with the last. */
  readonly #onListenersChange = (name: string | symbol) => {
    if (name !== 'suspect' && name !== 'recover') return
    // Node emits 'newListener' before it adds the listener.
    queueMicrotask(() => {
      const wantsSuspicion = this.listenerCount('suspect') + this.listenerCount('recover') > 0
      if (wantsSuspicion === this.#listener.wantsSuspicion) return
      this.#listener.wantsSuspicion = wantsSuspicion
      for (const watched of this.#sockets.values()) watched.startMonitor()
    })
  }

  readonly #listener: SocketListener & { wantsSuspicion: boolean } = {
    wantsSuspicion: false,
    wantsClosing: () => this.listenerCount('closing') > 0,
    suspected: (watched, evidence, silentFor, path) =>
      this.#announce('suspect', createEvent({ ...connectionOf(watched), evidence, silentFor, path })),
    recovered: (watched) => this.#announce('recover', createEvent(connectionOf(watched))),
    closing: (watched, kernelEvent) => {
      // Most programs do not listen, so the event is not made for every connection.
      if (this.listenerCount('closing') === 0) return
      const info = kernelEvent?.info
      this.#announce('closing', createEvent({ ...connectionOf(watched), ...(info && { info }) }))
    },
    died: (watched, found) => {
      const final = this.#act(watched, found)
      // `onDead` may have removed the socket. Or the peer had closed its side before, and the program has not read to the end yet.
      if (!final || watched.isStopped) return
      const death = deathOf(watched, final)
      this.#remove(watched)
      this.#died++
      // Publish once for each connection, even with several watchers.
      if (deaths.hasSubscribers && !watched.record.isDeathPublished) {
        watched.record.isDeathPublished = true
        deaths.publish(death)
      }
      this.#announce('dead', death)
    },
    closed: (watched) => {
      this.#remove(watched)
      this.#ended++
    },
    failed: (watched, error) => {
      this.#listener.closed(watched)
      this.#announce('error', error)
    },
  }

  /** Applies `onDead`. Returns the death with what is known after that; `undefined` if it was not a death. */
  #act(watched: WatchedSocket, found: FoundDeath): FoundDeath | undefined {
    // Either Node has destroyed the socket already, or the peer had closed its side and its data is still unread.
    if (watched.socket.destroyed || watched.hasUnreadData) return found
    const action = decide(this.#onDead, () => deathOf(watched, found))
    return action === 'destroy' && !watched.isStopped ? watched.destroy(found) : found
  }

  /** Emits an event. If a listener throws, its error becomes an uncaught exception, after the other deaths of this turn have been announced. */
  #announce<Name extends keyof WatcherEvents>(name: Name, ...args: WatcherEvents[Name]): void {
    try {
      ;(this as EventEmitter).emit(name, ...args)
    } catch (error) {
      throwLater(error)
    }
  }
}

/** Whether an item is a server. An item that cannot be read is not, so it is refused later as a connection. */
function isReadableServer(target: Watchable): target is ServerTarget {
  return tryOr(() => isServer(target), false)
}

function connectionOf({ socket, endpoints: { remote, local } }: WatchedSocket): WatchedConnection {
  return { socket, remote, local }
}

function deathOf(watched: WatchedSocket, { detectedBy, error }: FoundDeath): Death {
  const { reason, evidence, info } = error
  const known = info && { info, silentFor: silentFor(info) }
  const path = watched.path
  return createEvent({
    ...connectionOf(watched),
    reason,
    evidence,
    detectedBy,
    error,
    ...known,
    ...(path && { path }),
  })
}
