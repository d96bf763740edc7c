import type { EventEmitter } from 'node:events'
import net from 'node:net'
import { DeadpeerError } from '../errors.js'

/**
 * An object that accepts connections: a `net.Server` (servers of HTTP, TLS and HTTP/2 are subclasses), a `WebSocketServer` of ws, a Server of
 * socket.io, or a fastify instance. The last three stand for the HTTP server under them and all connections that it accepts. A
 * `WebSocketServer` with `noServer` stands for the WebSockets that it emits.
 */
export type ServerTarget =
  | net.Server
  | { handleUpgrade(...args: never[]): void; shouldHandle(...args: never[]): unknown }
  | { readonly httpServer: object; of(...args: never[]): unknown }
  | { readonly server: object; inject(...args: never[]): unknown; listen(...args: never[]): unknown }

// biome-ignore lint/suspicious/noExplicitAny: objects are recognized by their members
type Members = Record<string, any>

/** Emits `'connection'` with each WebSocket that is accepted. */
export type WebSocketSource = EventEmitter & { readonly options: { readonly noServer: true } }

export function isServer(target: unknown): target is ServerTarget {
  if (target instanceof net.Server) return true
  if (typeof target !== 'object' || target === null) return false
  return isWebSocketServer(target) || isSocketIoServer(target) || isFastify(target)
}

/** The servers under a target; empty for a WebSocketServer with `noServer`; `undefined` if the value is not a server. */
export function serversOf(target: unknown): readonly net.Server[] | undefined {
  if (target instanceof net.Server) return [target]
  if (typeof target !== 'object' || target === null) return undefined
  const it: Members = target
  if (isWebSocketServer(it)) return isWithoutServer(it) ? [] : [required(it._server, closed)]
  if (isSocketIoServer(it)) return [required(it.httpServer, notAttached)]
  if (isFastify(it)) return [...new Set([it.server as net.Server, ...openedBy(it)])]
  return undefined
}

/** Whether it accepts WebSockets only by `handleUpgrade`. */
export function isWithoutServer(target: object): target is WebSocketSource {
  return isWebSocketServer(target) && (target as Members).options?.noServer === true
}

function isWebSocketServer(it: Members): boolean {
  return typeof it.handleUpgrade === 'function' && typeof it.shouldHandle === 'function'
}

function isSocketIoServer(it: Members): boolean {
  return (
    typeof it.of === 'function' && typeof it.attach === 'function' && typeof it.onconnection === 'function'
  )
}

export function isFastify(it: Members): boolean {
  return typeof it.inject === 'function' && typeof it.listen === 'function' && it.server instanceof net.Server
}

function required(server: unknown, missing: () => DeadpeerError): net.Server {
  if (server instanceof net.Server) return server
  throw missing()
}

function closed(): DeadpeerError {
  return new DeadpeerError('ERR_SOCKET_CLOSED', 'The WebSocketServer is closed.')
}

function notAttached(): DeadpeerError {
  const message = 'This socket.io Server has no HTTP server yet; call its attach() or listen() first.'
  return new DeadpeerError('ERR_SOCKET_CLOSED', message)
}

/** For `localhost`, fastify opens one server for each address of that name. */
function openedBy(fastify: Members): net.Server[] {
  for (let it: object | null = fastify; it; it = Object.getPrototypeOf(it)) {
    const symbol = Object.getOwnPropertySymbols(it).find(
      (each) => each.description === 'fastify.serverBindings',
    )
    if (symbol) return (it as Record<symbol, net.Server[]>)[symbol]!
  }
  return []
}
