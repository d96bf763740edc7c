import type net from 'node:net'
import { heldSocket } from './holder.js'
import type { WebSocketSource } from './listening.js'

/** How a tuning is written to the connection of a WebSocket. */
interface Ways<Tuning> {
  connection(socket: net.Socket, tuning: Tuning): void
  /** Both, the later over the earlier. */
  merge(earlier: Tuning, later: Tuning): Tuning
}

const tuned = new WeakMap<WebSocketSource, { tuning: unknown }>()

/** Tunes the connection of each WebSocket that a `WebSocketServer` with `noServer` emits. A refusal destroys the connection. */
export function tuneWebSockets<Tuning>(source: WebSocketSource, tuning: Tuning, ways: Ways<Tuning>): void {
  const known = tuned.get(source)
  if (known) {
    known.tuning = ways.merge(known.tuning as Tuning, tuning)
    return
  }
  const state = { tuning }
  tuned.set(source, state)
  source.prependListener('connection', (webSocket: object) => {
    const socket = heldSocket(webSocket)
    if (!socket || socket.destroyed) return
    try {
      ways.connection(socket, state.tuning)
    } catch (error) {
      socket.destroy(error as Error)
    }
  })
}
