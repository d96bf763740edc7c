import { heldSocket } from './holder.js'
import { keepTuning, type TuningWriter } from './kept-tuning.js'
import type { WebSocketSource } from './listening.js'

/**
 * Tunes the connection of each WebSocket that a `WebSocketServer` with `noServer` emits. If tuning fails, the connection is destroyed with that
 * error.
 */
export function tuneWebSockets<Tuning>(
  source: WebSocketSource,
  tuning: Tuning,
  writer: TuningWriter<Tuning>,
): void {
  const kept = keepTuning(source, tuning, writer)
  if (!kept) return
  source.prependListener('connection', (webSocket: object) => {
    const socket = heldSocket(webSocket)
    if (socket) kept.tuneOrDestroy(socket)
  })
}
