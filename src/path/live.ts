import http from 'node:http'
import https from 'node:https'
import type net from 'node:net'
import type { ClientSettings, ServerSettings } from './judge.js'

// Reads the timeouts of servers, agents and dispatchers. It recognizes them by their members: instanceof would have to load their classes.

/** The fields of an `http.Server` or `https.Server` that concern idle connections. */
export interface HttpServer extends net.Server {
  readonly keepAliveTimeout: number
  readonly headersTimeout: number
  readonly requestTimeout: number
}

/** An `http.Agent` or `https.Agent`, or an agent with the same fields (agentkeepalive). */
export interface AgentLike {
  /** Its connections in use, by host and port. */
  readonly sockets: NodeJS.ReadOnlyDict<net.Socket[]>
  /** Its idle connections, by host and port. */
  readonly freeSockets: NodeJS.ReadOnlyDict<net.Socket[]>
}

/** A dispatcher of undici: `Agent`, `Pool`, `Client`. */
export interface Dispatcher {
  /** undici calls it to send a request. */
  dispatch(...args: never[]): boolean
}

export function readServer(server: net.Server): ServerSettings | undefined {
  const { keepAliveTimeout, keepAliveTimeoutBuffer, headersTimeout, requestTimeout, timeout } =
    server as Partial<HttpServer & { keepAliveTimeoutBuffer: number; timeout: number }>
  if (typeof keepAliveTimeout !== 'number') return undefined
  // Without a keepAliveTimeout, `timeout` also applies between two requests.
  const isOff = keepAliveTimeout === 0
  return {
    keepAliveTimeout: isOff ? (timeout ?? 0) : keepAliveTimeout,
    keepAliveTimeoutBuffer: isOff ? 0 : (keepAliveTimeoutBuffer ?? 0),
    headersTimeout: headersTimeout ?? 0,
    requestTimeout: requestTimeout ?? 0,
  }
}

export function isAgent(live: unknown): live is AgentLike {
  return isObject(live) && isObject(live.options) && isObject(live.freeSockets) && isObject(live.sockets)
}

/**
 * How long an agent keeps free connections.
 *
 * - Node's own: `timeout`, which applies to connections in use and free ones alike.
 * - `HttpAgent` and `HttpsAgent`: the shortest of `freeSocketTimeout`, `timeout` and `socketActiveTTL`.
 * - agentkeepalive: `freeSocketTimeout` if it is more than 0, but `socketActiveTTL` at most; otherwise `timeout`.
 */
export function readAgent(agent: AgentLike): ClientSettings {
  const { options } = agent as AgentLike & { options: Record<string, unknown> }
  const isKept = options.keepAlive === true || (agent as { keepAlive?: unknown }).keepAlive === true
  const timeout = limitOf(options.timeout)
  // Node's own agents ignore the other options.
  if (isNodesOwn(agent)) return settingOf('timeout', timeout, isKept)
  const free = limitOf(options.freeSocketTimeout)
  const age = limitOf(options.socketActiveTTL)
  if ('calcSocketTimeout' in agent) {
    const isFree = free < Number.POSITIVE_INFINITY
    return settingOf('freeSocketTimeout', isFree ? Math.min(free, age) : timeout, isKept)
  }
  const hasFreeTimeout = free <= timeout && 'freeSocketTimeout' in options
  return settingOf(hasFreeTimeout ? 'freeSocketTimeout' : 'timeout', Math.min(free, timeout, age), isKept)
}

function settingOf(name: string, freeSocketTimeout: number, isKept: boolean): ClientSettings {
  return { setting: `${name} of the agent`, freeSocketTimeout: isKept ? freeSocketTimeout : 0 }
}

/** A time in ms. 0 and anything but a number mean no limit. */
function limitOf(option: unknown): number {
  return typeof option === 'number' && option > 0 ? option : Number.POSITIVE_INFINITY
}

/** Whether it is of Node's own class, not of a subclass. */
function isNodesOwn(agent: AgentLike): boolean {
  const prototype: unknown = Object.getPrototypeOf(agent)
  return (
    prototype === http.Agent.prototype ||
    (agent instanceof http.Agent &&
      (agent as { protocol?: unknown }).protocol === 'https:' &&
      prototype === https.Agent.prototype)
  )
}

/** One of the agent's connections, if it has any. All have the same options. */
export function anySocketOf({ freeSockets, sockets }: AgentLike): net.Socket | undefined {
  return [freeSockets, sockets]
    .flatMap((byName) => Object.values(byName).flat())
    .find((socket) => socket !== undefined && !socket.destroyed && !socket.connecting)
}

export function isDispatcher(live: unknown): live is Dispatcher {
  return isObject(live) && typeof live.dispatch === 'function'
}

/** undici's defaults, docs/docs/api/Client.md. */
const undiciDefaults = { keepAliveTimeout: 4_000, keepAliveMaxTimeout: 600_000 }

/**
 * undici does not publish its options. An `Agent` or a `Pool` has them under a symbol called `options`. A `Client` has a symbol for
 * each. `undefined` if neither is found.
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
  // Anything but a number means the default.
  const numbers = Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  )
  const { keepAliveTimeout, keepAliveMaxTimeout } = { ...undiciDefaults, ...numbers }
  return {
    setting: 'keepAliveTimeout of the dispatcher',
    freeSocketTimeout: numbers.pipelining === 0 ? 0 : keepAliveTimeout,
    obeys: { setting: 'keepAliveMaxTimeout of the dispatcher', most: keepAliveMaxTimeout },
  }
}

function hidden(owner: object, description: string): unknown {
  const symbol = Object.getOwnPropertySymbols(owner).find((each) => each.description === description)
  return symbol && (owner as Record<symbol, unknown>)[symbol]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
