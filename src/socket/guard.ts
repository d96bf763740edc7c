import type { Keepalive } from '../kernel/liveness.js'
import { probesUntil } from './detection-time.js'

/**
 * When a connection's own keepalive clock sends its next probe, had nobody asked.
 */
export interface OwnClock {
  /** In ms since the peer was last heard. */
  readonly due: number
  /** The `initialDelay` that sets the timer to it; or, where it is due at once, that does not move it. */
  readonly initialDelay: number
}

/** Ends of the kernel's ranges: TCP_KEEPIDLE and TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT. */
export const SECONDS_MAX = 32_767_000
const COUNT_MAX = 127
const USER_TIMEOUT_MAX = 2 ** 31 - 1

/** At or under any silence that is worth a question, so the kernel asks at its next tick. */
const AT_ONCE = 1_000

/**
 * What a connection is given while probes of ours are unanswered, so that it neither ends sooner nor later than by its own settings.
 * Pure.
 *
 * The kernel counts our probes with its own. At a firing it gives up where `count` are unanswered, or, with a `userTimeout`, where that has
 * passed since the peer was last heard and any is. So `count` grows by ours; and `userTimeout`, which an unanswered probe before the
 * kernel's own first makes deadly one firing too early, becomes the time of death that follows from the connection's own clock. It is
 * only ever raised: it also bounds data in flight.
 */
export function whileUnanswered(own: Keepalive, unanswered: number, clock: OwnClock): Keepalive {
  if (!own.enable || unanswered === 0) return own
  const { initialDelay } = clock
  if (own.userTimeout) {
    const probes = probesUntil(own.userTimeout, clock.due, own.interval)
    return { ...own, initialDelay, userTimeout: deathAt(own, probes, clock) }
  }
  const count = own.count + unanswered
  if (count <= COUNT_MAX || own.userTimeout === undefined) {
    return { ...own, initialDelay, count: Math.min(COUNT_MAX, count) }
  }
  // No room to count in. A connection with so many probes can do with a bound on data in flight of as many intervals, for so long.
  return { ...own, initialDelay, userTimeout: deathAt(own, own.count, clock) }
}

function deathAt({ userTimeout = 0, interval }: Keepalive, probes: number, { due }: OwnClock): number {
  return Math.min(USER_TIMEOUT_MAX, Math.max(userTimeout, due + probes * interval))
}

/**
 * What makes the kernel ask at its next tick. Pure. Nothing may be taken back before that tick, and this process may be stopped
 * meanwhile for any length of time. So the next firing after the question is not before the one that the connection's own clock has
 * due, and that one does no harm.
 *
 * @param unanswered with the probe that is asked for.
 * @param silence since the peer was last heard, ms.
 */
export function whileAsking(own: Keepalive, unanswered: number, clock: OwnClock, silence: number): Keepalive {
  if (!own.enable) {
    return {
      enable: true,
      initialDelay: AT_ONCE,
      interval: SECONDS_MAX,
      count: COUNT_MAX,
      userTimeout: own.userTimeout && USER_TIMEOUT_MAX,
    }
  }
  return {
    ...whileUnanswered(own, unanswered, clock),
    initialDelay: AT_ONCE,
    interval: Math.min(SECONDS_MAX, Math.max(own.interval, wholeSeconds(clock.due - silence))),
  }
}

/** Rounded up: never sooner. */
export function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000) * 1000
}
