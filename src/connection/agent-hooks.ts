import diagnostics from 'node:diagnostics_channel'
import type http from 'node:http'
import net from 'node:net'

/** The methods of an `http.Agent` that open connections and are not in its types. */
interface Internals {
  createConnection(...args: unknown[]): net.Socket | undefined
  connect?(...args: unknown[]): unknown
}

export interface ConnectionOptions extends Readonly<Record<string, unknown>> {
  readonly host?: string
  readonly port?: number | string
  readonly socketPath?: string
}

/** Agents are recognized by their methods, so that a program without requests need not load `node:http`. */
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

/** All sockets of an agent, in use or idle, including those that are connecting. */
export function socketsOf(agent: http.Agent): net.Socket[] {
  const lists = [...Object.values(agent.sockets), ...Object.values(agent.freeSockets)]
  return lists.flatMap((sockets) => sockets ?? []).filter(isConnection)
}

/** Hears of the connections that an agent opens. */
export interface OpeningListener {
  /** A connection that the agent has opened, before the program gets it. It may be connecting. */
  opened(socket: net.Socket, options: ConnectionOptions): void
  /** A connection to a proxy, on which the agent asks for a tunnel by CONNECT. */
  openedToProxy(socket: net.Socket): void
}

/**
 * Reports each connection that an agent opens from now on. An agent returns it or passes it to a callback, and some do both.
 */
export function onOpened(given: http.Agent, listener: OpeningListener): void {
  const agent = given as unknown as Internals
  const createConnection = lateBound(agent, 'createConnection')
  agent.createConnection = function (this: Internals, ...args) {
    let heard: unknown
    const hearOnce = (socket: unknown) => {
      if (!isConnection(socket) || socket === heard) return
      heard = socket
      listener.opened(socket, optionsIn(args))
    }
    const callback = args.at(-1)
    const opened = function (this: unknown, ...given: [error?: unknown, socket?: unknown]) {
      const [error, socket] = given
      if (!error) hearOnce(socket)
      return Reflect.apply(callback as (...all: unknown[]) => unknown, this, given)
    }
    const passed = typeof callback === 'function' ? args.with(-1, opened) : args
    const { result, connecting } = listConnecting(() => Reflect.apply(createConnection, this, passed))
    for (const socket of connecting) {
      if (socket !== result && socket !== heard) listener.openedToProxy(socket)
    }
    hearOnce(result)
    return result
  }
  // Agents made on the package agent-base open the tunnel here, and only then call createConnection.
  if (typeof agent.connect !== 'function') return
  const connect = lateBound(agent, 'connect') as NonNullable<Internals['connect']>
  agent.connect = function (this: Internals, ...args) {
    const { result, connecting } = listConnecting(() => Reflect.apply(connect, this, args))
    for (const socket of connecting) listener.openedToProxy(socket)
    return result
  }
}

/**
 * The options in the arguments of `createConnection`. Node takes `(options)`, `(port, host)`, `(path)`, and for HTTPS also
 * `(port, options)` and `(port, host, options)`; each with a callback as the last argument.
 */
function optionsIn(args: readonly unknown[]): ConnectionOptions {
  const options = args.find((each) => typeof each === 'object' && each !== null) as
    | ConnectionOptions
    | undefined
  const [first, second] = args
  if (first === options) return options ?? {}
  // A string that is no number is the path of a UNIX socket, as in net.connect().
  const isPort = typeof first === 'number' || (typeof first === 'string' && Number(first) >= 0)
  if (!isPort) return { ...options, socketPath: String(first) }
  return { ...options, port: first, ...(typeof second === 'string' && { host: second }) }
}

/** The method that the owner has when it is called: instrumentation may replace an inherited method later. */
export function lateBound<Owner extends object, Name extends keyof Owner>(
  owner: Owner,
  name: Name,
): Owner[Name] {
  if (Object.hasOwn(owner, name)) return owner[name]
  const call = function (this: Owner, ...args: unknown[]): unknown {
    const inherited = (Object.getPrototypeOf(owner) as Owner)[name] as (...all: unknown[]) => unknown
    return Reflect.apply(inherited, this, args)
  }
  return call as Owner[Name]
}

const connectingChannel = diagnostics.channel('net.client.socket')

/** Runs something, and lists the sockets that Node starts to connect meanwhile. Node 20 reports only those of `net.connect`. */
function listConnecting<Result>(run: () => Result): { result: Result; connecting: net.Socket[] } {
  const connecting: net.Socket[] = []
  const note = (message: unknown) => {
    const { socket } = message as { socket?: unknown }
    if (isConnection(socket)) connecting.push(socket)
  }
  connectingChannel.subscribe(note)
  try {
    return { result: run(), connecting }
  } finally {
    connectingChannel.unsubscribe(note)
  }
}

/** Tests and libraries pass other objects in place of a socket. */
function isConnection(socket: unknown): socket is net.Socket {
  return socket instanceof net.Socket
}
