import type net from 'node:net'
import { handleOf } from './target.js'

/** How a tuning is put where it belongs. */
interface Ways<Tuning> {
  /** On a descriptor that listens: what it accepts inherits. */
  listener(fd: number, tuning: Tuning): void
  /** On a connection that does not simply inherit. */
  connection(socket: net.Socket, tuning: Tuning): void
  /** Both, the later over the earlier. */
  merge(earlier: Tuning, later: Tuning): Tuning
}

const tuned = new WeakMap<net.Server, { tuning: unknown; perConnection: boolean }>()

/**
 * Applies a tuning to what a server listens on, now and at every later `'listening'`: what it accepts
 * inherits that in the kernel, at no cost. Where that does not hold, to each connection it accepts.
 */
export function tuneServer<Tuning>(server: net.Server, tuning: Tuning, ways: Ways<Tuning>): void {
  const known = tuned.get(server)
  const state = known ?? { tuning, perConnection: false }
  if (server.listening) apply(tuning)
  if (known) known.tuning = ways.merge(known.tuning as Tuning, tuning)
  if (known) return
  tuned.set(server, state)
  server.prependListener('listening', () => {
    try {
      apply(state.tuning as Tuning)
    } catch (error) {
      server.emit('error', error)
    }
  })

  function apply(now: Tuning): void {
    if (!isShared(server)) ways.listener(handleOf(server)?.fd ?? -1, now)
    if (state.perConnection || !(isShared(server) || resetsKeepAlive(server))) return
    state.perConnection = true
    onAccepted(server, (socket) => ways.connection(socket, state.tuning as Tuning))
  }
}

/** Before the program's own listeners, so that they find the connection tuned. A refusal destroys it. */
export function onAccepted(server: net.Server, tune: (socket: net.Socket) => void): void {
  server.prependListener('connection', (socket: net.Socket) => {
    if (socket.destroyed) return
    try {
      tune(socket)
    } catch (error) {
      socket.destroy(error as Error)
    }
  })
}

/** In a cluster's worker the listening descriptor is the primary's, shared or not even present here. */
function isShared(server: net.Server): boolean {
  // Not imported: a program that has no cluster need not load it.
  const cluster = process.getBuiltinModule('node:cluster') as unknown as { isWorker: boolean }
  return cluster.isWorker || handleOf(server)?.fd === undefined
}

/** Node's `keepAlive: true` writes TCP_KEEPIDLE and 1/10 over what each accepted connection inherited. */
function resetsKeepAlive(server: net.Server): boolean {
  return (server as net.Server & { keepAlive?: boolean }).keepAlive === true
}
