import type { Keepalive, Look } from '../kernel/liveness.js'
import { clockFrom, type OwnClock, SECONDS_MAX, wholeSeconds } from './guard.js'

/** A tick or two, in ms: what two readings of the kernel's clocks may differ by. */
const CLOCK_DIFFERENCE = 20

/**
 * When the kernel would send the next probe by itself. Pure.
 *
 * That is after `initialDelay` of silence, but not always: a timer that stands at `interval` since the last probe is not moved by an
 * answer, and keepalive that is switched on late starts a whole `initialDelay` then. No option tells, so the timer itself has to be read.
 *
 * @param dueIn in how many ms it fires; `undefined` where that is not told.
 */
export function ownClock(look: Look, own: Keepalive, dueIn: number | undefined): OwnClock {
  const { enable, initialDelay, interval } = own
  if (!enable) return clockFrom(own)
  const silence = look.seenAt - look.heardAt
  // Where it is not told, it is no later than this.
  const wait = dueIn ?? Math.max(initialDelay, interval)
  const due = Math.max(initialDelay, silence + wait - CLOCK_DIFFERENCE)
  return { due, initialDelay: Math.min(SECONDS_MAX, wholeSeconds(due)), sent: 0 }
}
