import net from 'node:net'
import type { ClientSettings, ServerSettings } from '../path/judge.js'

// What servers, agents and dispatchers have. Told by their looks: to know their classes one would have to load them.

/** An `http.Server` or `https.Server`, as far as it concerns idle connections. */
export interface HttpServer extends net.Server {
  readonly keepAliveTimeout: number
  readonly headersTimeout: number
  readonly requestTimeout: number
}

/** An `http.Agent` or `https.Agent`, or one that is made like it (agentkeepalive). */
export interface AgentLike {
  /** Its connections in use, by host and port. */
  readonly sockets: NodeJS.ReadOnlyDict<net.Socket[]>
  /** Its idle connections, by host and port. */
  readonly freeSockets: NodeJS.ReadOnlyDict<net.Socket[]>
}

/** A dispatcher of undici: `Agent`, `Pool`, `Client`. */
export interface Dispatcher {
  /** What undici calls to send a request. */
  dispatch(...args: never[]): boolean
}

export function isServer(live: unknown): live is net.Server {
  return live instanceof net.Server
}

export function readServer(server: net.Server): ServerSettings | undefined {
  const { keepAliveTimeout, keepAliveTimeoutBuffer, headersTimeout, requestTimeout } = server as Partial<
    HttpServer & { keepAliveTimeoutBuffer: number }
  >
  if (typeof keepAliveTimeout !== 'number') return undefined
  return {
    keepAliveTimeout,
    keepAliveTimeoutBuffer: keepAliveTimeoutBuffer ?? 0,
    headersTimeout: headersTimeout ?? 0,
    requestTimeout: requestTimeout ?? 0,
  }
}

export function isAgent(live: unknown): live is AgentLike {
  return isObject(live) && isObject(live.options) && isObject(live.freeSockets) && isObject(live.sockets)
}

/** `timeout` is that of free connections as well, where there is no `freeSocketTimeout`. */
export function readAgent(agent: AgentLike): ClientSettings {
  const { keepAlive, freeSocketTimeout, timeout } = (
    agent as AgentLike & { options: Record<string, unknown> }
  ).options
  const setting = typeof freeSocketTimeout === 'number' ? 'freeSocketTimeout' : 'timeout'
  const value = typeof freeSocketTimeout === 'number' ? freeSocketTimeout : timeout
  if (keepAlive !== true && (agent as { keepAlive?: unknown }).keepAlive !== true) {
    return { setting, freeSocketTimeout: 0 }
  }
  return {
    setting: `${setting} of the agent`,
    freeSocketTimeout: typeof value === 'number' && value > 0 ? value : Number.POSITIVE_INFINITY,
  }
}

/** One of its connections, if it has any: they are all set alike. */
export function anySocketOf({ freeSockets, sockets }: AgentLike): net.Socket | undefined {
  return [freeSockets, sockets]
    .flatMap((byName) => Object.values(byName).flat())
    .find((socket) => socket !== undefined && !socket.destroyed && !socket.connecting)
}

export function isDispatcher(live: unknown): live is Dispatcher {
  return isObject(live) && typeof live.dispatch === 'function'
}

/** undici's own, docs/docs/api/Client.md. */
const undiciDefaults = { keepAliveTimeout: 4_000, keepAliveMaxTimeout: 600_000 }

/**
 * undici shows its options to nobody. An `Agent` or a `Pool` keeps them under a symbol called options, a `Client` each under one
 * of its own. `undefined` where neither is found.
 */
export function readDispatcher(dispatcher: Dispatcher): ClientSettings | undefined {
  const options = hidden(dispatcher, 'options')
  const given = isObject(options)
    ? options
    : {
        keepAliveTimeout: hidden(dispatcher, 'default keep alive timeout'),
        keepAliveMaxTimeout: hidden(dispatcher, 'max keep alive timeout'),
      }
  if (!isObject(options) && typeof given.keepAliveTimeout !== 'number') return undefined
  const numbers = withoutEmpty(given)
  const { keepAliveTimeout, keepAliveMaxTimeout } = { ...undiciDefaults, ...numbers }
  return {
    setting: 'keepAliveTimeout of the dispatcher',
    freeSocketTimeout: numbers.pipelining === 0 ? 0 : keepAliveTimeout,
    believes: { setting: 'keepAliveMaxTimeout of the dispatcher', most: keepAliveMaxTimeout },
  }
}

function hidden(owner: object, description: string): unknown {
  const symbol = Object.getOwnPropertySymbols(owner).find((each) => each.description === description)
  return symbol && (owner as Record<symbol, unknown>)[symbol]
}

/** Of what it was given, the numbers: anything else is a default. */
function withoutEmpty(given: Record<string, unknown>): Record<string, number> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => typeof value === 'number')) as Record<
    string,
    number
  >
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
