import { EventEmitter, errorMonitor } from 'node:events'
import type http from 'node:http'
import type net from 'node:net'
import { type ConnectionOptions, lateBound, onOpened } from '../connection/agent-hooks.js'
import { socketUnder } from '../connection/record.js'
import type { Watcher } from '../watch/watcher.js'
import { AgentConnections } from './agent-connections.js'
import { type Connection, type Sample, type SentRequest, sampleAll } from './connection.js'
import { parseKeepAlive } from './keep-alive.js'
import { judgeRequest } from './stale.js'
import type { Counted, Snapshot } from './statistics.js'
import { watchOrDestroy } from './watching.js'

/** Times in ms; 0: no limit. */
export interface PoolSettings {
  readonly freeSocketTimeout: number
  readonly socketActiveTTL: number
  readonly maxRequestsPerSocket: number
  readonly watcher: Watcher | undefined
  /** Whether to learn how long servers keep idle connections. */
  readonly learn: boolean
}

/** Members of `http.Agent` that its types do not have. */
interface Internals extends http.Agent {
  readonly protocol: string
  readonly options: { readonly timeout?: number }
  readonly agentKeepAliveTimeoutBuffer?: number
  getName(options?: ConnectionOptions): string
  addRequest(request: http.ClientRequest, ...rest: unknown[]): void
  keepSocketAlive(socket: net.Socket): boolean
  reuseSocket(socket: net.Socket, request: http.ClientRequest): void
}

/** Node's default of `agentKeepAliveTimeoutBuffer`, ms: the agent closes a connection this long before the server's own timeout. */
const SERVER_HINT_BUFFER = 1_000

/** The longest timer that Node can set, ms. */
const LONGEST = 2 ** 31 - 1

/**
 * The connections of one agent. Counts them, and decides which of the idle ones may be reused. It wraps the agent's own methods, so it works
 * for subclasses too.
 */
export class Pool {
  readonly #agent: Internals
  readonly #settings: PoolSettings
  readonly #connections: AgentConnections

  constructor(given: http.Agent, settings: PoolSettings) {
    const agent = given as Internals
    this.#agent = agent
    this.#connections = new AgentConnections(settings.learn)
    this.#connections.agent = agent
    this.#settings = settings
    onOpened(agent, {
      opened: (socket, options) => this.#open(socket, options),
      openedToProxy: (socket) => {
        if (settings.watcher) watchOrDestroy(settings.watcher, socket)
      },
    })
    this.#discardGoneBeforeRequests()
    this.#limitKeptConnections()
    this.#resetBeforeReuse()
    agent.prependListener('free', (socket: net.Socket, options: ConnectionOptions) => {
      if (agent.requests[agent.getName(options)]?.length) this.#checkBeforeHandingOn(socket)
    })
  }

  snapshot(): Snapshot {
    return this.#connections.snapshot()
  }

  #open(socket: net.Socket, options: ConnectionOptions): void {
    const { maxRequestsPerSocket, watcher } = this.#settings
    const limit = maxRequestsPerSocket || Number.POSITIVE_INFINITY
    const mayBeTunnel = this.#agent.protocol === 'https:'
    if (!this.#connections.add(socket, this.#originOf(options), limit, mayBeTunnel)) return
    if (!watcher) return
    // Watches a connection once: the socket that the program gets, not the one under it.
    const under = socketUnder(socket)
    if (under) watcher.delete(under)
    if (!mayBeTunnel) watchOrDestroy(watcher, socket)
  }

  /** Called when a request gets the connection, or when it becomes free without one because that request was aborted. */
  #useForRequests(connection: Connection): void {
    if (!connection.mayBeTunnel) return
    connection.useForRequests()
    const { watcher } = this.#settings
    if (watcher) watchOrDestroy(watcher, connection.socket)
  }

  #originOf({ host = 'localhost', port, socketPath }: ConnectionOptions): string {
    if (socketPath !== undefined && socketPath !== null) return `unix:${socketPath}`
    const name = String(host).includes(':') ? `[${host}]` : host
    return `${this.#agent.protocol}//${name}:${port}`
  }

  /**
   * Checks the free connections before each request takes one. `addRequest` first calls `getName` to find the connections to that server, so the
   * check runs in `getName`.
   */
  #discardGoneBeforeRequests(): void {
    const agent = this.#agent
    const [addRequest, getName] = [lateBound(agent, 'addRequest'), lateBound(agent, 'getName')]
    let asked: http.ClientRequest | undefined
    agent.addRequest = (request, ...rest) => {
      // Node's own tests pass objects that are not requests.
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
    const samples = sampleAll(free)
    const now = performance.now()
    this.#keepIdle(name, (socket, i) => {
      const connection = this.#connections.find(socket)
      return !socket.destroyed && socket.writable && !this.#discards(connection, samples?.[i], now)
    })
  }

  /**
   * If one connection was gone, those that have been idle for longer may be gone for the same reason. For example, the kernel does not know that
   * a host has restarted until it sends something.
   */
  #discardIdleSince(name: string, time: number): void {
    this.#keepIdle(name, (socket) => (this.#connections.find(socket)?.freeAt ?? time) >= time)
  }

  #idle(name: string): net.Socket[] | undefined {
    const free = this.#agent.freeSockets[name] as net.Socket[] | undefined
    return free && free.length > 0 ? free : undefined
  }

  /** Destroys the other idle connections, and removes them from Node's own list so that the agent cannot choose them. */
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

  /** Whether a connection that had requests before must not get another. Counts a connection that was gone. */
  #discards(connection: Connection | undefined, sample: Sample | undefined, now: number): boolean {
    if (!connection || connection.requests === 0) return false
    if (connection.checkGone(sample)) {
      this.#connections.staleReuse(connection, true)
      return true
    }
    // Its timer may be late: the event loop is busy when requests need idle connections.
    const { freeAt, freeFor } = connection
    return (
      connection.isUsedUp(this.#settings.socketActiveTTL, now) ||
      (freeFor > 0 && now - freeAt >= freeFor) ||
      (connection.isFree && this.#connections.isPastLimit(connection, sample?.minRtt ?? 0, now))
    )
  }

  /** Checks a connection before a waiting request gets it. Destroys it if it must not be reused. */
  #checkBeforeHandingOn(socket: net.Socket): void {
    const connection = this.#connections.find(socket)
    if (!connection || socket.destroyed) return
    this.#readKeepAlive(connection)
    connection.freeFor = 0
    if (this.#discards(connection, sampleAll([socket])?.[0], performance.now())) socket.destroy()
  }

  #limitKeptConnections(): void {
    const agent = this.#agent
    const keepSocketAlive = lateBound(agent, 'keepSocketAlive')
    agent.keepSocketAlive = (socket) => {
      const connection = this.#connections.find(socket)
      if (!keepSocketAlive.call(agent, socket)) return false
      if (!connection) return true
      this.#useForRequests(connection)
      const now = performance.now()
      const hint = this.#readKeepAlive(connection)
      if (connection.isUsedUp(this.#settings.socketActiveTTL, now)) return false
      // Node's method has set the agent's `timeout` on the socket, and a subclass may have set its own.
      const left = Math.min(
        this.#mayBeIdle(connection, hint, now),
        socket.timeout || Number.POSITIVE_INFINITY,
      )
      if (left <= 0) return false
      connection.freeAt = now
      connection.isFree = true
      connection.freeFor = left === Number.POSITIVE_INFINITY ? 0 : left
      if (connection.freeFor > 0) socket.setTimeout(Math.min(Math.ceil(left), LONGEST))
      return true
    }
  }

  /** Reads the `Keep-Alive` header of the last response. Returns how long the server keeps the connection, in ms. */
  #readKeepAlive(connection: Connection): number | undefined {
    const { timeout, max } = parseKeepAlive(connection.request?.res?.headers['keep-alive'])
    if (max !== undefined) connection.noteServerMax(max)
    if (timeout !== undefined) this.#connections.idleLimit(connection.origin)?.announced(timeout)
    return timeout
  }

  /** How long it may be idle, in ms: the minimum of `freeSocketTimeout`, the server's timeout, and the rest of `socketActiveTTL`. */
  #mayBeIdle(connection: Connection, hint: number | undefined, now: number): number {
    const { freeSocketTimeout, socketActiveTTL } = this.#settings
    const buffer = this.#agent.agentKeepAliveTimeoutBuffer ?? SERVER_HINT_BUFFER
    return Math.min(
      freeSocketTimeout || Number.POSITIVE_INFINITY,
      hint === undefined ? Number.POSITIVE_INFINITY : hint - buffer,
      socketActiveTTL === 0 ? Number.POSITIVE_INFINITY : connection.madeAt + socketActiveTTL - now,
    )
  }

  /** Restores the agent's `timeout` before reuse, because the idle timeout must not apply to a request. */
  #resetBeforeReuse(): void {
    const agent = this.#agent
    const reuseSocket = lateBound(agent, 'reuseSocket')
    agent.reuseSocket = (socket, request) => {
      const timeout = agent.options.timeout ?? 0
      if (socket.timeout !== timeout) socket.setTimeout(timeout)
      // Called last, because a subclass may set its own timeout.
      reuseSocket.call(agent, socket, request)
    }
  }

  #begin(request: http.ClientRequest, name: string, origin: string): void {
    const connections = this.#connections
    const count = (counted: Counted) => connections.count(origin, counted)
    count('requests')
    let connection: Connection | undefined
    let isReused = false
    let sentAt = 0
    let isStale = false
    let isCounted = false
    const fail = () => {
      const { res, upgradeOrConnect } = request as SentRequest
      if (isCounted || upgradeOrConnect || res?.complete) return
      isCounted = true
      count(isStale ? 'staleReuses' : 'failedRequests')
    }
    request.once('socket', (socket) => {
      connection = connections.find(socket)
      if (!connection) return
      this.#useForRequests(connection)
      sentAt = performance.now()
      isReused = connection.requests++ > 0
      connection.request = request
      connection.isFree = false
      if (isReused) count('reusedRequests')
    })
    const emitter: EventEmitter = request
    emitter.once(errorMonitor, (error) => {
      const used = connection
      if (used) judgeFailure(used, error)
      // Only if the request has ended: a program may emit an error on one that goes on. Node reports a FIN without a response before it closes
      // the socket.
      if (request.destroyed || request.socket?.destroyed || request.socket?.readableEnded) fail()
    })
    const judgeFailure = (used: Connection, error: unknown) => {
      const evidence = {
        reused: isReused,
        answered: Boolean((request as SentRequest).res),
        peerClosed: used.peerClosed,
        acknowledged: isReused ? used.hasAcknowledgedSince(used.ackedWhenIdle) : undefined,
      }
      const verdict = judgeRequest(request, error, evidence, () => connections.retried(used, origin, request))
      isStale = verdict.isStale
      if (isStale) connections.staleReuse(used, false, request)
      if (verdict.isStaleIfIdempotent) this.#discardIdleSince(name, sentAt)
    }
    request.once('close', fail)
  }
}
