import type { Death } from './watch.js'

/**
 * `onDead` of the watchers of agents and `register`. It destroys the connection of an unresponsive peer, and leaves a reset to Node. Node first
 * delivers the data before the reset, so a complete response stays complete. undici throws an AssertionError if its socket is destroyed with ECONNRESET while a body
 * is unread.
 */
export function leaveResets({ reason }: Death): 'destroy' | 'report' {
  return reason === 'reset' ? 'report' : 'destroy'
}
