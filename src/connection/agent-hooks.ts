import diagnostics from 'node:diagnostics_channel'
import type http from 'node:http'
import net from 'node:net'
import { InvalidTypeError } from '../errors.js'
import { sharedState } from '../kernel/shared-state.js'
import { tryOr } from '../options/try-or.js'

/** The methods of an `http.Agent` that open connections and are not in its types. */
interface Internals {
  createConnection(...args: unknown[]): net.Socket | undefined
  connect?(...args: unknown[]): unknown
  createSocket?(...args: unknown[]): unknown
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

/** Receives the connections that an agent opens. */
export interface OpeningListener {
  /** A connection that the agent has opened, before the program gets it. It may be connecting. */
  opened(socket: net.Socket, options: ConnectionOptions): void
  /** A connection to a proxy, on which the agent asks for a tunnel by CONNECT. */
  openedToProxy(socket: net.Socket): void
}

/** The listeners and wrappers of one agent. */
interface Hook {
  readonly listeners: OpeningListener[]
  /** Wrappers that were assigned to the agent. A program may assign one again after it has replaced it. */
  readonly wrappers: WeakSet<object>
}

const hooks = sharedState('agentHooks', () => new WeakMap<Internals, Hook>())

/**
 * Reports each connection that an agent opens from now on, once. An agent returns it or passes it to a callback, and some do both.
 *
 * A program may assign another `createConnection` later. A subclass may define one as a field, which replaces the wrapper after this package's
 * constructor. So `createConnection` is wrapped again before each connection that Node opens by `createSocket`.
 *
 * @throws {@link InvalidTypeError} for an agent that is frozen.
 */
export function onOpened(given: http.Agent, listener: OpeningListener): void {
  const agent = given as unknown as Internals
  const known = hooks().get(agent)
  if (known) {
    known.listeners.push(listener)
    return
  }
  requireExtensible(given)
  const hook: Hook = { listeners: [listener], wrappers: new WeakSet() }
  hooks().set(agent, hook)
  wrapMethods(agent, hook)
  if (typeof agent.createSocket !== 'function') return
  const createSocket = lateBound(agent, 'createSocket') as NonNullable<Internals['createSocket']>
  agent.createSocket = function (this: Internals, ...args) {
    // The program may have made a property read-only.
    tryOr(() => wrapMethods(agent, hook), undefined)
    return Reflect.apply(createSocket, this, args)
  }
}

/** @throws {@link InvalidTypeError} for a frozen agent that has no wrappers yet. */
export function requireExtensible(agent: http.Agent): void {
  if (hooks().has(agent as unknown as Internals) || Object.isExtensible(agent)) return
  throw new InvalidTypeError(
    'The agent is frozen, so its later connections cannot be tuned. Tune it before you freeze it.',
    { field: 'target' },
  )
}

function wrapMethods(agent: Internals, hook: Hook): void {
  const { wrappers } = hook
  if (!wrappers.has(agent.createConnection)) {
    agent.createConnection = reporting(hook, lateBound(agent, 'createConnection'))
    wrappers.add(agent.createConnection)
  }
  // Agents based on the package agent-base open the tunnel here, before they call createConnection.
  if (typeof agent.connect === 'function' && !wrappers.has(agent.connect)) {
    agent.connect = reportingProxy(hook, lateBound(agent, 'connect') as NonNullable<Internals['connect']>)
    wrappers.add(agent.connect)
  }
}

/** Gives the wrapper the method's name and properties: a test may have assigned a mock. */
function reporting(
  { listeners }: Hook,
  method: Internals['createConnection'],
): Internals['createConnection'] {
  const apply = (createConnection: Internals['createConnection'], self: unknown, args: unknown[]) => {
    let reported: unknown
    const reportOnce = (socket: unknown) => {
      if (!isConnection(socket) || socket === reported) return
      reported = socket
      for (const each of listeners) each.opened(socket, optionsIn(args))
    }
    const callback = args.at(-1)
    const opened = function (this: unknown, ...given: [error?: unknown, socket?: unknown]) {
      const [error, socket] = given
      if (!error) reportOnce(socket)
      return Reflect.apply(callback as (...all: unknown[]) => unknown, this, given)
    }
    const passed = typeof callback === 'function' ? args.with(-1, opened) : args
    const { result, connecting } = listConnecting(() => Reflect.apply(createConnection, self, passed))
    for (const socket of connecting) {
      if (socket !== result && socket !== reported) for (const each of listeners) each.openedToProxy(socket)
    }
    reportOnce(result)
    return result
  }
  return new Proxy(method, { apply })
}

function reportingProxy(
  { listeners }: Hook,
  method: NonNullable<Internals['connect']>,
): NonNullable<Internals['connect']> {
  const apply = (connect: NonNullable<Internals['connect']>, self: unknown, args: unknown[]) => {
    const { result, connecting } = listConnecting(() => Reflect.apply(connect, self, args))
    for (const socket of connecting) for (const each of listeners) each.openedToProxy(socket)
    return result
  }
  return new Proxy(method, { apply })
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
  // A string that is not a number is the path of a UNIX socket, as in net.connect().
  const isPort = typeof first === 'number' || (typeof first === 'string' && Number(first) >= 0)
  if (!isPort) return { ...options, socketPath: String(first) }
  return { ...options, port: first, ...(typeof second === 'string' && { host: second }) }
}

/** Calls the method that the owner has at the time of the call, because instrumentation may replace an inherited method later. */
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

/** Runs a function, and lists the sockets that Node starts to connect meanwhile. Node 20 reports only those of `net.connect`. */
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
