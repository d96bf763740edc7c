import type { NativeCore } from '../kernel/binding.js'
import type { Keepalive, Look, SocketName } from '../kernel/liveness.js'
import { type OwnClock, SECONDS_MAX, wholeSeconds } from './guard.js'

/** A tick or two, in ms: what two readings of the kernel's clocks may differ by. */
const CLOCK_DIFFERENCE = 20

/**
 * When the kernel would send the next probe by itself.
 *
 * That is after `initialDelay` of silence, but not always. A timer stands at `interval` since the last probe, which may be longer than
 * `initialDelay`; and keepalive that is switched on late starts a whole `initialDelay` then. Where it may be otherwise the kernel is asked.
 */
export function readOwnClock(core: NativeCore, socket: SocketName, look: Look, own: Keepalive): OwnClock {
  const { enable, initialDelay, interval } = own
  const silence = look.seenAt - look.heardAt
  if (!enable || (silence < initialDelay && interval <= initialDelay))
    return { due: initialDelay, initialDelay }
  const dueIn = core.readKeepaliveTimer(socket.fd, socket.cookie)
  // Where it does not tell, it is no later than this.
  const wait = dueIn >= 0 ? dueIn - CLOCK_DIFFERENCE : Math.max(initialDelay, interval)
  const due = Math.min(SECONDS_MAX, wholeSeconds(silence + wait))
  return { due, initialDelay: due }
}
