import { EventEmitter, errorMonitor } from 'node:events'
import type http from 'node:http'
import type net from 'node:net'
import { type ConnectionOptions, lateBound, onOpened } from '../connection/agent-hooks.js'
import type { Watcher } from '../watch/watcher.js'
import { tell } from './channels.js'
import { Connection, lookAtAll, type Owner, type Sent, type Sight, socketUnder } from './connection.js'
import { parseKeepAlive } from './keep-alive.js'
import { judgeRequest } from './stale.js'
import { type Snapshot, Statistics } from './statistics.js'
import { watchOrDestroy } from './watching.js'

/** What a pool goes by. Times in ms; 0: no limit. */
export interface PoolSettings {
  readonly freeSocketTimeout: number
  readonly socketActiveTTL: number
  readonly maxRequestsPerSocket: number
  readonly watcher: Watcher | undefined
}

/** What an `http.Agent` has beyond its types. */
interface Internals extends http.Agent {
  readonly protocol: string
  readonly options: { readonly timeout?: number }
  readonly agentKeepAliveTimeoutBuffer?: number
  getName(options?: ConnectionOptions): string
  addRequest(request: http.ClientRequest, ...rest: unknown[]): void
  keepSocketAlive(socket: net.Socket): boolean
  reuseSocket(socket: net.Socket, request: http.ClientRequest): void
}

/** Node's own, where the agent has none: how much sooner than the server says one stops using its connection. */
const SERVER_HINT_BUFFER = 1_000

/** The longest that a timer of Node's can be. */
const LONGEST = 2 ** 31 - 1

/**
 * The connections of one agent: what becomes of them, and which of the idle ones may be used. Stands at the agent's own methods, so that it
 * holds for subclasses of it as well.
 */
export class Pool {
  readonly #agent: Internals
  readonly #settings: PoolSettings
  readonly #statistics = new Statistics()
  readonly #connections = new WeakMap<net.Socket, Connection>()

  constructor(given: http.Agent, settings: PoolSettings) {
    const agent = given as Internals
    this.#agent = agent
    this.#settings = settings
    onOpened(agent, {
      opened: (socket, options) => this.#open(socket, options),
      openedToProxy: (socket) => {
        if (settings.watcher) watchOrDestroy(settings.watcher, socket)
      },
    })
    this.#chooseBeforeRequests()
    this.#keepOnlyWhatLasts()
    this.#resetBeforeReuse()
    agent.prependListener('free', (socket: net.Socket, options: ConnectionOptions) => {
      if (agent.requests[agent.getName(options)]?.length) this.#checkBeforeHandingOn(socket)
    })
  }

  snapshot(): Snapshot {
    return this.#statistics.snapshot()
  }

  readonly #owner: Owner = {
    opened: (connection) => {
      this.#statistics.count(connection.origin, 'opened')
      tell('opened', () => this.#message(connection))
    },
    closed: (connection) => {
      const { origin, isOpen, ending } = connection
      const how = isOpen ? ending : 'failedToOpen'
      this.#statistics.count(origin, how)
      tell('closed', () => ({ ...this.#message(connection), how }))
    },
  }

  #message({ socket, origin }: Connection): object {
    return { agent: this.#agent, origin, socket }
  }

  #open(socket: net.Socket, options: ConnectionOptions): void {
    if (this.#connections.has(socket)) return
    const { maxRequestsPerSocket, watcher } = this.#settings
    const limit = maxRequestsPerSocket || Number.POSITIVE_INFINITY
    const under = socketUnder(socket)
    if (under) {
      this.#connections.get(under)?.replace()
      // One connection is watched once: by what the program has of it.
      watcher?.delete(under)
    }
    const mayBeTheWay = this.#agent.protocol === 'https:'
    const connection = new Connection(socket, this.#originOf(options), limit, this.#owner, mayBeTheWay)
    this.#connections.set(socket, connection)
    if (watcher && !connection.isOnTheWay) watchOrDestroy(watcher, socket)
  }

  /** A request gets it, or it is kept for one: the one that it was opened for may have been called off. */
  #arrive(connection: Connection): void {
    if (!connection.isOnTheWay) return
    connection.arrive()
    const { watcher } = this.#settings
    if (watcher) watchOrDestroy(watcher, connection.socket)
  }

  #originOf({ host = 'localhost', port, socketPath }: ConnectionOptions): string {
    if (socketPath !== undefined && socketPath !== null) return `unix:${socketPath}`
    const name = String(host).includes(':') ? `[${host}]` : host
    return `${this.#agent.protocol}//${name}:${port}`
  }

  /** `addRequest` asks for the name of the connections that would do, and then takes a free one of them. */
  #chooseBeforeRequests(): void {
    const agent = this.#agent
    const [addRequest, getName] = [lateBound(agent, 'addRequest'), lateBound(agent, 'getName')]
    let asked: http.ClientRequest | undefined
    agent.addRequest = (request, ...rest) => {
      // Node's own tests pass objects that only look like one.
      asked = request instanceof EventEmitter ? request : undefined
      try {
        addRequest.call(agent, request, ...rest)
      } finally {
        asked = undefined
      }
    }
    agent.getName = (options) => {
      const name = getName.call(agent, options)
      const request = asked
      if (request === undefined) return name
      asked = undefined
      this.#begin(request, name, this.#originOf(options ?? {}))
      this.#discardGone(name)
      return name
    }
  }

  #discardGone(name: string): void {
    const free = this.#idle(name)
    if (!free) return
    const sights = lookAtAll(free)
    const now = performance.now()
    this.#keepIdle(name, (socket, i) => {
      const connection = this.#connections.get(socket)
      return !socket.destroyed && socket.writable && !this.#discards(connection, sights?.[i], now)
    })
  }

  /**
   * Where one connection was gone, those that have been idle since before may be gone for the same reason, and the kernel cannot know of a
   * host that was restarted until something is sent.
   */
  #discardIdleSince(name: string, time: number): void {
    this.#keepIdle(name, (socket) => (this.#connections.get(socket)?.freeAt ?? time) >= time)
  }

  #idle(name: string): net.Socket[] | undefined {
    const free = this.#agent.freeSockets[name] as net.Socket[] | undefined
    return free && free.length > 0 ? free : undefined
  }

  /** Destroys the others, and takes them out of Node's own list, so that they cannot be chosen. */
  #keepIdle(name: string, isKept: (socket: net.Socket, i: number) => boolean): void {
    const free = this.#idle(name)
    if (!free) return
    let kept = 0
    free.forEach((socket, i) => {
      if (isKept(socket, i)) free[kept++] = socket
      else socket.destroy()
    })
    free.length = kept
    if (kept === 0) delete (this.#agent.freeSockets as Record<string, unknown>)[name]
  }

  /** Whether a connection that had requests before must not have another; counted where it was gone. */
  #discards(connection: Connection | undefined, sight: Sight | undefined, now: number): boolean {
    if (!connection || connection.requests === 0) return false
    if (connection.isGone(sight)) {
      this.#statistics.count(connection.origin, 'staleReusesAvoided')
      tell('staleReuse', () => ({ ...this.#message(connection), avoided: true }))
      return true
    }
    // Timers are late where the event loop is busy, which is when idle connections are asked for.
    const { freeAt, freeFor } = connection
    return connection.isSpent(this.#settings.socketActiveTTL, now) || (freeFor > 0 && now - freeAt >= freeFor)
  }

  /** A request has been waiting for a connection: it gets this one, unless it is destroyed. */
  #checkBeforeHandingOn(socket: net.Socket): void {
    const connection = this.#connections.get(socket)
    if (!connection || socket.destroyed) return
    this.#heed(connection)
    connection.freeFor = 0
    if (this.#discards(connection, lookAtAll([socket])?.[0], performance.now())) socket.destroy()
  }

  #keepOnlyWhatLasts(): void {
    const agent = this.#agent
    const keepSocketAlive = lateBound(agent, 'keepSocketAlive')
    agent.keepSocketAlive = (socket) => {
      const connection = this.#connections.get(socket)
      if (!keepSocketAlive.call(agent, socket)) return false
      if (!connection) return true
      this.#arrive(connection)
      const now = performance.now()
      const hint = this.#heed(connection)
      if (connection.isSpent(this.#settings.socketActiveTTL, now)) return false
      // Node's method has set the agent's `timeout` on the socket, and a subclass may have set a time of its own.
      const left = Math.min(
        this.#mayBeIdle(connection, hint, now),
        socket.timeout || Number.POSITIVE_INFINITY,
      )
      if (left <= 0) return false
      connection.freeAt = now
      connection.freeFor = left === Number.POSITIVE_INFINITY ? 0 : left
      if (connection.freeFor > 0) socket.setTimeout(Math.min(Math.ceil(left), LONGEST))
      return true
    }
  }

  /** Takes note of what the server has said with its last answer. Returns for how long it keeps the connection. */
  #heed(connection: Connection): number | undefined {
    const { timeout, max } = parseKeepAlive(connection.request?.res?.headers['keep-alive'])
    if (max !== undefined) connection.heedMax(max)
    return timeout
  }

  /** The least of what was set, what the server says, and what is left of its time. */
  #mayBeIdle(connection: Connection, hint: number | undefined, now: number): number {
    const { freeSocketTimeout, socketActiveTTL } = this.#settings
    const buffer = this.#agent.agentKeepAliveTimeoutBuffer ?? SERVER_HINT_BUFFER
    return Math.min(
      freeSocketTimeout || Number.POSITIVE_INFINITY,
      hint === undefined ? Number.POSITIVE_INFINITY : hint - buffer,
      socketActiveTTL === 0 ? Number.POSITIVE_INFINITY : connection.madeAt + socketActiveTTL - now,
    )
  }

  /** The idle timeout is none of a request's. */
  #resetBeforeReuse(): void {
    const agent = this.#agent
    const reuseSocket = lateBound(agent, 'reuseSocket')
    agent.reuseSocket = (socket, request) => {
      const timeout = agent.options.timeout ?? 0
      if (socket.timeout !== timeout) socket.setTimeout(timeout)
      // Last, because a subclass may set another.
      reuseSocket.call(agent, socket, request)
    }
  }

  #begin(request: http.ClientRequest, name: string, origin: string): void {
    this.#statistics.count(origin, 'requests')
    let connection: Connection | undefined
    let isReused = false
    let sentAt = 0
    let isStale = false
    request.once('socket', (socket) => {
      connection = this.#connections.get(socket)
      if (!connection) return
      this.#arrive(connection)
      sentAt = performance.now()
      isReused = connection.requests++ > 0
      connection.request = request
      if (isReused) this.#statistics.count(origin, 'reusedRequests')
    })
    const emitter: EventEmitter = request
    emitter.once(errorMonitor, (error) => {
      const used = connection
      if (!used) return
      const evidence = {
        reused: isReused,
        answered: Boolean((request as Sent).res),
        peerClosed: used.peerClosed,
        acknowledged: isReused ? used.hasAcknowledged() : undefined,
      }
      const verdict = judgeRequest(request, error, evidence, () => {
        this.#statistics.count(origin, 'retried')
        tell('retried', () => ({ ...this.#message(used), request }))
      })
      isStale = verdict.isStale
      if (isStale) tell('staleReuse', () => ({ ...this.#message(used), avoided: false, request }))
      if (verdict.isStaleIfIdempotent) this.#discardIdleSince(name, sentAt)
    })
    request.once('close', () => {
      const { res, upgradeOrConnect } = request as Sent
      if (upgradeOrConnect || res?.complete) return
      this.#statistics.count(origin, isStale ? 'staleReuses' : 'failedRequests')
    })
  }
}
