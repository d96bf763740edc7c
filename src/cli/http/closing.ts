import type { EventEmitter } from 'node:events'
import type net from 'node:net'
import { DeadpeerError, inspect } from '../../index.js'
import type { Exchange } from './exchange.js'

export type Closing = Pick<Exchange, 'closedAfter' | 'closedAtOnce' | 'goaway'>

/** What has closed by then has not been kept at all, ms. */
const AT_ONCE = 100

/**
 * How the other side closes an idle connection from now on, as far as it has when that is asked. `events` of `emitter` tell of it.
 *
 * On a busy machine this process sees both the answer and the close late. So the idle time is counted from when the kernel has received the
 * answer: a server is not blamed for a wait of ours.
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

/** ms since the kernel has received data; 0 where that cannot be read. The first call takes longer. */
export function sinceData(socket: net.Socket): number {
  try {
    return inspect(socket).info?.lastDataRecv ?? 0
  } catch (error) {
    if (error instanceof DeadpeerError) return 0
    throw error
  }
}
