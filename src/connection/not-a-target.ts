import net from 'node:net'
import { InvalidTypeError } from '../errors.js'
import { isAgent } from './agent-hooks.js'
import { BorrowedSocket } from './borrowed.js'
import { heldSocket } from './holder.js'
import { remedyForClient, useCreateAgent } from './known-clients.js'
import { isServer } from './listening.js'
import { isWebSocketStream } from './websocket-stream.js'

const accepted =
  'It must be a net.Socket, an object that has one (a request, a response, a WebSocket, an HTTP/2 session), or a file descriptor.'

/** The error for a value that is not a connection. It says what the value is and what to do instead. */
export function notATarget(value: unknown): InvalidTypeError {
  const message = `The target is ${describeTarget(value)}. ${remedyFor(value) ?? accepted}`
  return new InvalidTypeError(message, { field: 'target' })
}

/** Whether a value is a connection, a server or an agent. */
export function isTargetLike(value: unknown): boolean {
  if (typeof value === 'number') return true
  if (typeof value !== 'object' || value === null) return false
  if (value instanceof net.Socket || value instanceof BorrowedSocket) return true
  return isServer(value) || isAgent(value) || heldSocket(value) !== undefined
}

/** @throws for `watch(server)`. */
export function checkNoTarget(options: unknown): void {
  if (!Array.isArray(options) && !isTargetLike(options)) return
  const isAgents = typeof options === 'object' && isAgent(options)
  const name = isServer(options) ? 'server' : Array.isArray(options) ? 'sockets' : 'socket'
  const message = isAgents
    ? "watch takes options, not an agent. new HttpAgent() of 'deadpeer/http' watches its connections."
    : `watch takes options. Did you mean watch().add(${name})?`
  throw new InvalidTypeError(message, { field: 'options' })
}

/**
 * @param other the argument that follows the target: a profile or options.
 * @throws for `tune('lan', socket)` and `probe({ attempts: 1 }, socket)`.
 */
export function checkOrder(target: unknown, other: unknown, call: string): void {
  // The most frequent case, and the fastest check.
  if (target instanceof net.Socket && !(other instanceof net.Socket)) return
  if (typeof other !== 'object' || other === null) return
  if (!Array.isArray(other) && !isTargetLike(other)) return
  const isTarget = typeof target === 'number' || (typeof target === 'object' && isTargetLike(target))
  if (isTarget && !(other instanceof net.Socket)) return
  throw new InvalidTypeError(`The arguments are in the wrong order: call ${call}.`, { field: 'target' })
}

// biome-ignore lint/suspicious/noExplicitAny: the objects can be anything
type Members = Record<string, any>

/** An object that is often passed instead of a connection. */
interface Mistake {
  is(it: Members): boolean
  readonly remedy: string
}

const mistakes: readonly Mistake[] = [
  // A fastify instance has a `then`.
  {
    is: isServer,
    remedy:
      'A server has no peer. Only tune and watch().add take a server. Other functions need a connection that it accepted.',
  },
  { is: (it) => typeof it.then === 'function', remedy: 'Await it, and pass what it resolves to.' },
  {
    is: (it) => typeof it[Symbol.iterator as never] === 'function',
    remedy:
      'This function takes one connection. Use tuneAll, probeAll, sampleTcpInfo or watch().add for several, or call it for each.',
  },
  { is: (it) => typeof it.dispatch === 'function', remedy: useCreateAgent },
  // A Response or Request of fetch; then the result of undici's request().
  { is: (it) => typeof it.arrayBuffer === 'function' && 'headers' in it, remedy: useCreateAgent },
  { is: (it) => 'statusCode' in it && 'trailers' in it && 'body' in it, remedy: useCreateAgent },
  {
    is: (it) => it.constructor?.name === 'WebSocket' && typeof it.addEventListener === 'function',
    remedy: useCreateAgent,
  },
  {
    is: isAgent,
    remedy: "tune takes an agent. HttpAgent of 'deadpeer/http' also watches its connections.",
  },
  {
    is: (it) => /^udp[46]$/.test(it.type) && typeof it.bind === 'function',
    remedy: 'UDP has no connections.',
  },
  {
    is: isWebSocketStream,
    remedy:
      'Its WebSocket is not connected yet or cannot be found. With mqtt, make the WebSocket in the option createWebsocket, and pass that.',
  },
]

function remedyFor(value: unknown): string | undefined {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return undefined
  const client = remedyForClient(value)
  if (client !== undefined) return client
  if (typeof value === 'function') {
    // An application of Express or connect.
    const isApplication = typeof (value as Members).listen === 'function' || 'handle' in value
    return isApplication ? 'Pass the server that its listen() returns.' : undefined
  }
  const mistake = mistakes.find(({ is }) => is(value as Members))
  if (mistake) return mistake.remedy
  const name = nameOfConnection(value as Members)
  return name && `Did you mean its ${name}?`
}

/** The property of an object that has its connection: `stream` of a client of ioredis, mqtt or mysql2; `connection.stream` of pg. */
function nameOfConnection(owner: Members): string | undefined {
  for (const name of ['stream', 'socket', 'connection', 'request', 'client', 'ws', 'server']) {
    const value = read(owner, name)
    if (value instanceof net.Socket || (isObject(value) && isTargetLike(value))) return name
    const stream = isObject(value) ? read(value, 'stream') : undefined
    if (stream instanceof net.Socket) return `${name}.stream`
  }
  return undefined
}

function read(owner: Members, name: string): unknown {
  try {
    return owner[name]
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null
}

function describeTarget(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return `the string '${value.slice(0, 40)}'`
  if (typeof value !== 'object') return `a ${typeof value}`
  if (Array.isArray(value)) return 'an array'
  const name = value.constructor?.name
  return !name || name === 'Object'
    ? 'an object without a connection'
    : `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`
}
