import type net from 'node:net'
import { descriptorOf, handleOf } from './target.js'

interface Tuning {
  /** For a descriptor that listens: what it accepts inherits. */
  readonly listener: (fd: number) => void
  /** For a connection that does not simply inherit. */
  readonly connection: (socket: net.Socket) => void
}

interface Tuned {
  tunings: Tuning[]
  perConnection: boolean
}

const tuned = new WeakMap<net.Server, Tuned>()

/**
 * Applies a tuning to what a server listens on, now and at every later `'listening'`: what it accepts
 * inherits that in the kernel, at no cost. Where that does not hold, to each connection it accepts.
 */
export function tuneServer(server: net.Server, tuning: Tuning): void {
  const known = tuned.get(server)
  const state = known ?? { tunings: [], perConnection: false }
  if (server.listening) applyTo(server, state, [tuning])
  state.tunings.push(tuning)
  if (known) return
  tuned.set(server, state)
  server.prependListener('listening', () => {
    try {
      applyTo(server, state, state.tunings)
    } catch (error) {
      server.emit('error', error)
    }
  })
}

function applyTo(server: net.Server, state: Tuned, tunings: Tuning[]): void {
  if (!isShared(server)) {
    const fd = handleOf(server)?.fd ?? -1
    for (const tuning of tunings) tuning.listener(fd)
  }
  if (state.perConnection || !(isShared(server) || resetsKeepAlive(server))) return
  state.perConnection = true
  server.prependListener('connection', (socket: net.Socket) => {
    if (descriptorOf(socket) < 0) return
    try {
      for (const tuning of state.tunings) tuning.connection(socket)
    } catch (error) {
      socket.destroy(error as Error)
    }
  })
}

/** In a cluster's worker the listening descriptor is the primary's, shared or not even present here. */
function isShared(server: net.Server): boolean {
  const cluster = process.getBuiltinModule('node:cluster') as unknown as { isWorker: boolean }
  return cluster.isWorker || handleOf(server)?.fd === undefined
}

/** Node's `keepAlive: true` writes TCP_KEEPIDLE and 1/10 over what each accepted connection inherited. */
function resetsKeepAlive(server: net.Server): boolean {
  return (server as net.Server & { keepAlive?: boolean }).keepAlive === true
}
