import type { EventEmitter } from 'node:events'
import type net from 'node:net'
import { DeadpeerError, inspect } from '../../../index.js'
import type { Exchange } from './exchange.js'

export type Closing = Pick<Exchange, 'closedAfter' | 'closedAtOnce' | 'goaway'>

/** A connection that is closed within this time was not kept, ms. */
const AT_ONCE = 100

/**
 * Observes how the server closes an idle connection from now on; the returned function returns the result so far. `events` of `emitter` report the close.
 *
 * The idle time counts from when the kernel received the response. On a busy machine this process notices the response and the close late,
 * and that delay must not count against the server.
 */
export function watchClosing(
  socket: net.Socket,
  emitter: EventEmitter,
  events: readonly string[],
): () => Closing {
  const idle = sinceData(socket)
  const seenAt = performance.now()
  const answeredAt = seenAt - idle
  let closing: Closing = {}
  const note = (reason?: unknown) => {
    if (closing.closedAfter !== undefined) return
    const now = performance.now()
    closing = {
      closedAfter: now - answeredAt,
      closedAtOnce: now - seenAt < AT_ONCE,
      ...(typeof reason === 'number' && { goaway: reason }),
    }
  }
  if (socket.destroyed) note()
  for (const event of events) emitter.once(event, note)
  return () => {
    for (const event of events) emitter.off(event, note)
    return closing
  }
}

/** ms since the kernel received data; 0 if that cannot be read. The first call takes longer. */
export function sinceData(socket: net.Socket): number {
  try {
    return inspect(socket).info?.lastDataRecv ?? 0
  } catch (error) {
    if (error instanceof DeadpeerError) return 0
    throw error
  }
}
