import type http from 'node:http'
import net from 'node:net'
import type { DeadpeerError } from '../errors.js'

/** What an `http.Agent` has beyond its types, as far as it concerns its connections. */
interface Internals {
  createConnection(options: ConnectionOptions, callback?: Opened): net.Socket | undefined
  keepSocketAlive(socket: net.Socket): boolean
}

export interface ConnectionOptions extends Readonly<Record<string, unknown>> {
  readonly host?: string
  readonly port?: number | string
  readonly socketPath?: string
}

type Opened = (error: Error | null, socket?: net.Socket, ...rest: unknown[]) => void

/** Told by its methods: a program that makes no requests need not load `node:http`. */
export function isAgent(target: unknown): target is http.Agent {
  if (typeof target !== 'object' || target === null) return false
  const agent = target as Partial<http.Agent>
  return (
    typeof agent.createConnection === 'function' &&
    typeof agent.keepSocketAlive === 'function' &&
    typeof agent.sockets === 'object' &&
    typeof agent.freeSockets === 'object'
  )
}

/** All that an agent has open, in use or not, also what is still connecting. */
export function socketsOf(agent: http.Agent): net.Socket[] {
  const lists = [...Object.values(agent.sockets), ...Object.values(agent.freeSockets)]
  return lists.flatMap((sockets) => sockets ?? []).filter(isConnection)
}

/**
 * Calls `hear` with each connection that an agent opens from now on, before anybody else has it; it may still be connecting. An agent
 * returns it at once or hands it to a callback, and some do both.
 */
export function onOpened(
  given: http.Agent,
  hear: (socket: net.Socket, options: ConnectionOptions) => void,
): void {
  const agent = given as unknown as Internals
  const createConnection = agent.createConnection
  agent.createConnection = function (this: Internals, options, callback) {
    let heard: unknown
    const hearOnce = (socket: unknown) => {
      if (!isConnection(socket) || socket === heard) return
      heard = socket
      hear(socket, options)
    }
    const opened: Opened | undefined =
      callback &&
      ((error, socket, ...rest) => {
        if (!error) hearOnce(socket)
        callback(error, socket, ...rest)
      })
    const socket = createConnection.call(this, options, opened)
    hearOnce(socket)
    return socket
  }
}

/** How a tuning is put on a connection. */
interface Ways<Tuning> {
  connection(socket: net.Socket, tuning: Tuning): void
  /** Both, the later over the earlier. */
  merge(earlier: Tuning, later: Tuning): Tuning
}

const tuned = new WeakMap<http.Agent, { tuning: unknown }>()

/**
 * Applies a tuning to the connections of an agent: those it has, those it opens later, and to each anew whenever it is kept for the
 * next request. There Node calls `setKeepAlive`, which writes over what is set, where that is not what it set before.
 */
export function tuneAgent<Tuning>(agent: http.Agent, tuning: Tuning, ways: Ways<Tuning>): void {
  const known = tuned.get(agent)
  for (const socket of socketsOf(agent)) tuneIfTcp(socket, tuning)
  if (known) {
    known.tuning = ways.merge(known.tuning as Tuning, tuning)
    return
  }
  const state = { tuning }
  tuned.set(agent, state)
  onOpened(agent, tuneOrDestroy)
  const internals = agent as unknown as Internals
  const keepSocketAlive = internals.keepSocketAlive
  internals.keepSocketAlive = function (this: Internals, socket) {
    const kept = keepSocketAlive.call(this, socket)
    if (kept && isConnection(socket)) tuneOrDestroy(socket)
    return kept
  }

  /** As on a server: the error tells who uses the connection. */
  function tuneOrDestroy(socket: net.Socket): void {
    try {
      tuneIfTcp(socket, state.tuning)
    } catch (error) {
      socket.destroy(error as Error)
    }
  }

  /** An agent may have others as well, which are not what it was tuned for: to a UNIX socket, through a proxy's tunnel. */
  function tuneIfTcp(socket: net.Socket, now: Tuning): void {
    if (socket.destroyed) return
    try {
      ways.connection(socket, now)
    } catch (error) {
      if ((error as DeadpeerError).code !== 'ERR_NOT_TCP') throw error
    }
  }
}

/** Not what stands in for one, in tests or for want of a better. */
function isConnection(socket: unknown): socket is net.Socket {
  return socket instanceof net.Socket
}
