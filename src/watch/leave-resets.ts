import type { Death } from '../watch.js'

/**
 * `onDead` of watchers that watch by default, under agents and `register`: a peer that is silent is destroyed, a reset is left to Node. Node
 * finds a reset by itself once what came before it has been read, and delivers that first: a response that was complete stays
 * one. undici asserts where it is destroyed with ECONNRESET while a body waits to be read.
 */
export function leaveResets({ reason }: Death): 'destroy' | 'report' {
  return reason === 'reset' ? 'report' : 'destroy'
}
