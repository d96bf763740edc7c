import type { NativeCore } from '../kernel/binding.js'
import type { Keepalive, Look, SocketName } from '../kernel/liveness.js'
import { clockFrom, type OwnClock, SECONDS_MAX, wholeSeconds } from './guard.js'

/** A tick or two, in ms: what two readings of the kernel's clocks may differ by. */
const CLOCK_DIFFERENCE = 20

/**
 * When the kernel would send the next probe by itself.
 *
 * That is after `initialDelay` of silence, but not always: a timer that stands at `interval` since the last probe is not moved by an
 * answer, and keepalive that is switched on late starts a whole `initialDelay` then. No option tells, so the timer itself is read.
 */
export function readOwnClock(core: NativeCore, socket: SocketName, look: Look, own: Keepalive): OwnClock {
  const { enable, initialDelay, interval } = own
  if (!enable) return clockFrom(own)
  const silence = look.seenAt - look.heardAt
  // Where it is not told, it is no later than this.
  const wait = readKeepaliveTimer(core, socket) ?? Math.max(initialDelay, interval)
  const due = Math.max(initialDelay, silence + wait - CLOCK_DIFFERENCE)
  return { due, initialDelay: Math.min(SECONDS_MAX, wholeSeconds(due)), sent: 0 }
}

/** In how many ms the keepalive timer is due; `undefined` where that is not told. */
export function readKeepaliveTimer(core: NativeCore, { fd, cookie }: SocketName): number | undefined {
  const dueIn = core.readKeepaliveTimer(fd, cookie)
  return dueIn >= 0 ? dueIn : undefined
}
