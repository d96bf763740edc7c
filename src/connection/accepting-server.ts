import diagnostics from 'node:diagnostics_channel'
import type net from 'node:net'
import type { WebSocketSource } from './listening.js'
import { handleOf } from './target.js'

/** An emitter of accepted connections. */
export type AcceptingServer = net.Server | WebSocketSource

/**
 * The event that a server emits for a new connection. A TLS server emits the raw socket with `'connection'`, and that socket must not be
 * destroyed under the program's TLSSocket. TLS servers are recognized by a method, so that a program without TLS need not load `node:tls`.
 */
export function acceptedEvent(server: AcceptingServer): 'connection' | 'secureConnection' {
  return 'setSecureContext' in server ? 'secureConnection' : 'connection'
}

/**
 * Calls `onServer` with each server right after its listen(2). The `'listening'` event comes later, after all synchronous work of that turn of the
 * event loop. Bun does not publish this diagnostics channel.
 */
export function onListen(onServer: (server: net.Server) => void): void {
  diagnostics.subscribe('tracing:net.server.listen:asyncEnd', (message) => {
    onServer((message as { server: net.Server }).server)
  })
}

/**
 * Calls `tune` with each connection that the server accepts, before the program's own listeners run. If `tune` throws, the connection is destroyed
 * with that error. Streams that the program passes to `server.emit('connection')` are left alone.
 *
 * @returns a function that stops it.
 */
export function onAccepted(server: net.Server, tune: (socket: net.Socket) => void): () => void {
  const listener = (socket: net.Socket & { server?: net.Server | null }) => {
    if (socket.server !== server || socket.destroyed) return
    try {
      tune(socket)
    } catch (error) {
      socket.destroy(error as Error)
    }
  }
  server.prependListener('connection', listener)
  return () => void server.off('connection', listener)
}

/** Whether other processes listen on the same descriptor. In a cluster the primary owns the descriptor, and a worker may not have it. */
export function isShared(server: net.Server): boolean {
  // Not imported: a program without a cluster need not load it.
  const cluster = process.getBuiltinModule('node:cluster') as unknown as { isWorker: boolean }
  return cluster.isWorker || handleOf(server)?.fd === undefined
}
