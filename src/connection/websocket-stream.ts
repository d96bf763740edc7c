import net from 'node:net'
import { Duplex } from 'node:stream'

/** The prototypes of the WebSocket classes found so far: a program may have several copies of ws. */
const prototypes = new Set<object>()

const found = new WeakMap<object, object>()

/**
 * The WebSocket under a stream of ws's `createWebSocketStream`. An mqtt client over ws:// has such a `stream`.
 *
 * The stream keeps the WebSocket in a closure. Its `_read` reads the getter `isPaused` of the WebSocket's class, and resumes the WebSocket if it is
 * paused. So the getter is replaced for one synchronous call of `_read`. The replacement notes its `this` and returns false, so `_read` does
 * nothing.
 *
 * The class is found by way of a connection of this process that has a WebSocket.
 */
export function webSocketUnder(stream: object): object | undefined {
  const known = found.get(stream)
  if (known) return known
  if (!isWebSocketStream(stream)) return undefined
  const webSocket = askFor(stream, prototypes) ?? askFor(stream, newPrototypes())
  if (webSocket) found.set(stream, webSocket)
  return webSocket
}

/** Matches the `_read` of `createWebSocketStream`, minified or not. No other `_read` is called, because that could disturb a stream. */
const resumesWebSocket =
  /^(function\s*)?\(\)\s*(=>\s*)?\{?\s*(if\s*\()?\w+\.isPaused(\)|&&)\s*\w+\.resume\(\);?\s*\}?$/

/** Whether this is a stream of `createWebSocketStream`. */
export function isWebSocketStream(stream: unknown): stream is Duplex {
  if (!(stream instanceof Duplex) || stream instanceof net.Socket) return false
  if (!Object.hasOwn(stream, '_read') || !Object.hasOwn(stream, '_final')) return false
  return resumesWebSocket.test(String(stream._read))
}

function askFor(stream: Duplex, classes: Iterable<object>): object | undefined {
  let webSocket: object | undefined
  const restore: (() => void)[] = []
  try {
    for (const prototype of classes) {
      const descriptor = Object.getOwnPropertyDescriptor(prototype, 'isPaused')!
      const get = function (this: object) {
        webSocket = this
        return false
      }
      Object.defineProperty(prototype, 'isPaused', { ...descriptor, get })
      restore.push(() => Object.defineProperty(prototype, 'isPaused', descriptor))
    }
    if (restore.length > 0) stream._read(0)
  } finally {
    for (const each of restore) each()
  }
  return webSocket
}

function newPrototypes(): object[] {
  const fresh = new Set<object>()
  // Not documented, but in every Node from 20 to 26. Bun does not have it.
  const { _getActiveHandles } = process as unknown as { _getActiveHandles?(): object[] }
  for (const handle of _getActiveHandles?.call(process) ?? []) {
    if (!(handle instanceof net.Socket)) continue
    const prototype = prototypeWithGetter(webSocketOf(handle))
    if (prototype && !prototypes.has(prototype)) fresh.add(prototype)
  }
  for (const prototype of fresh) prototypes.add(prototype)
  return [...fresh]
}

/** The WebSocket of a connection. ws keeps it under a symbol of this name. */
function webSocketOf(socket: net.Socket): unknown {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'websocket')
  return symbol && (socket as unknown as Record<symbol, unknown>)[symbol]
}

function prototypeWithGetter(webSocket: unknown): object | undefined {
  let prototype: unknown = webSocket
  while (typeof prototype === 'object' && prototype !== null) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, 'isPaused')
    if (descriptor) return descriptor.get && descriptor.configurable ? prototype : undefined
    prototype = Object.getPrototypeOf(prototype)
  }
  return undefined
}
