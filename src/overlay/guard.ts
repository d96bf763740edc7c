import type { Keepalive } from '../kernel/liveness.js'

/**
 * A connection's own keepalive clock, had nobody asked.
 */
export interface OwnClock {
  /** When its next probe was due at the time of the question, in ms since the peer was last heard. */
  readonly due: number
  /**
   * The `initialDelay` that sets the timer to its next probe, in whole seconds and so not sooner; or, where that is due at once or set,
   * one that does not move it.
   */
  readonly initialDelay: number
  /** Probes that it has sent already, unanswered. */
  readonly sent: number
}

/** The clock of a connection whose timer stands where TCP_KEEPIDLE sets it. */
export function clockFrom({ initialDelay }: Keepalive): OwnClock {
  return { due: initialDelay, initialDelay, sent: 0 }
}

/** Ends of the kernel's ranges: TCP_KEEPIDLE and TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT. */
export const SECONDS_MAX = 32_767_000
export const COUNT_MAX = 127
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
  if (!own.enable) return own
  const { initialDelay } = clock
  if (own.userTimeout) {
    if (unanswered === 0) return { ...own, initialDelay }
    const probes = Math.ceil((own.userTimeout - clock.due) / own.interval)
    return {
      ...own,
      initialDelay,
      userTimeout: deathAt(own, Math.max(clock.sent > 0 ? 0 : 1, probes), clock),
    }
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
 * due, and not so soon that a peer which is heard meanwhile, and vanishes then, has less time than the connection gives.
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
  const untilDue = wholeSeconds(Math.max(clock.due, clock.initialDelay) - silence)
  return {
    ...whileUnanswered(own, unanswered, clock),
    initialDelay: AT_ONCE,
    interval: Math.min(SECONDS_MAX, Math.max(own.interval, own.initialDelay, untilDue)),
  }
}

/**
 * The clock after a stop in mid-question in which the timer has fired by itself, at the interval of {@link whileAsking}. Pure.
 *
 * @param times how often.
 * @param dueIn when it fires next, in ms from now; `undefined` where that is not told, and it is left to.
 */
export function clockAfterStop(
  clock: OwnClock,
  own: Keepalive,
  asking: Keepalive,
  times: number,
  silence: number,
  dueIn: number | undefined,
): OwnClock {
  const sent = clock.sent + times
  if (dueIn === undefined) return { ...clock, initialDelay: asking.initialDelay, sent }
  const next = silence + Math.max(0, dueIn - (asking.interval - own.interval))
  return { ...clock, initialDelay: Math.min(SECONDS_MAX, wholeSeconds(next)), sent }
}

/** Rounded up: never sooner. */
export function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000) * 1000
}
