import type { Keepalive, Sample } from '../kernel/liveness.js'
import { type KeepaliveClock, SECONDS_MAX, wholeSeconds } from './clock.js'

// Plans the options that a connection must have in force when they differ from the owner's. Pure. `test/unit/overlay-never-harms.test.ts` checks
// it against a model of the kernel's timer.

/** Stand-ins for the owner's values that are deferred until the peer is heard. */
export type Deferred = { readonly [Name in keyof Keepalive]?: NonNullable<Keepalive[Name]> }

/** Why the options in force differ from the owner's. */
export interface Reasons {
  /** Tuning: values in force until the peer is heard. The owner's could end the connection in its present state (deferral.ts). */
  readonly deferred: Deferred | undefined
  /** Probing: when the timer would fire without our probes; `undefined` if none of ours is unanswered. */
  readonly clock: KeepaliveClock | undefined
  /** How many of the unanswered probes that the kernel counts are ours. A probe that has not left yet counts too. */
  readonly unanswered: number
  /** Whether the options in force make the kernel send a probe at its next tick. */
  readonly isFiring: boolean
  /** Heartbeat: the kernel sends a probe this long after the last segment, in ms, whole seconds. `undefined`: it sends none. */
  readonly beating: number | undefined
}

/** The kernel's largest TCP_KEEPCNT and TCP_USER_TIMEOUT. */
export const COUNT_MAX = 127
const USER_TIMEOUT_MAX = 2 ** 31 - 1

/** TCP_KEEPIDLE's least value. A connection is probed only if idle for at least this long, so the kernel sends a probe at its next tick. */
const AT_ONCE = 1_000

/** The kernel's timers fire late by up to an eighth of the wait, never early. */
const LATENESS = 1 / 8

/** The options to have in force. */
export function plan(own: Keepalive, reasons: Reasons, sample: Sample): Keepalive {
  const base = withDeferred(own, reasons.deferred)
  const { clock, unanswered, isFiring, beating } = reasons
  if (beating !== undefined) return whileBeating(base, beating) ?? base
  if (!clock) return base
  if (isFiring) return whileFiring(base, unanswered, clock, sample.sampledAt - sample.heardAt)
  const wanted = whileUnanswered(base, unanswered, clock)
  // With data in flight the kernel sends no keepalive probes, and a raised userTimeout would apply to the retransmissions.
  return isUnderWay(sample) ? { ...wanted, userTimeout: base.userTimeout } : wanted
}

/** The owner's options, with stand-ins for deferred values. */
export function withDeferred(own: Keepalive, deferred: Deferred | undefined): Keepalive {
  return deferred ? { ...own, ...deferred } : own
}

/** Whether data is unacknowledged or queued. */
export function isUnderWay(sample: Sample): boolean {
  return sample.unacked > 0 || sample.notSent > 0
}

/**
 * The options while probes of ours are unanswered. With them the connection ends neither sooner nor later than by its own settings.
 *
 * The kernel counts our probes with its own. When the timer fires, the kernel gives up if `count` probes are unanswered. With a `userTimeout` it
 * gives up if at least one probe is unanswered and `userTimeout` has passed since the peer was last heard. So `count` is raised by the number of
 * our probes. With our probe unanswered, `userTimeout` could end the connection one firing too early. So `userTimeout` is set to the time at which
 * the connection's own clock would end it. It is never lowered, because it also limits data in flight.
 */
export function whileUnanswered(own: Keepalive, unanswered: number, clock: KeepaliveClock): Keepalive {
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
  // `count` cannot be raised that far. A userTimeout takes its place; with so many intervals it is long enough for data in flight too.
  return { ...own, initialDelay, userTimeout: deathAt(own, own.count, clock) }
}

function deathAt({ userTimeout = 0, interval }: Keepalive, probes: number, { due }: KeepaliveClock): number {
  return Math.min(USER_TIMEOUT_MAX, Math.max(userTimeout, due + probes * interval))
}

/**
 * The options that make the kernel send a probe at its next tick. They cannot be restored before that tick, and this process may be stopped in
 * between for any length of time. So the next firing must not come before the connection's own clock is due. The peer may also be heard in between,
 * and then vanish. Even then, the firing must leave it as much time as the connection's own options do.
 *
 * @param unanswered includes the probe that will be sent.
 * @param silence time since the peer was last heard, ms.
 */
export function whileFiring(
  own: Keepalive,
  unanswered: number,
  clock: KeepaliveClock,
  silence: number,
): Keepalive {
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
 * The options that make the kernel send a probe each time the peer was not heard for `every` ms, so that a heartbeat only samples. If the peer
 * vanishes while this process is stopped, the connection ends no sooner than by its own settings. It ends at most one of their intervals later.
 * `undefined` if no values guarantee that: then the heartbeat sends its own probes.
 *
 * TCP_USER_TIMEOUT limits both idle connections and data in flight. It is never changed here, because that would change the limit for data.
 * It is never set if the owner's is 0, because that would end peers that are slow to read. With a `userTimeout`, the kernel ends an idle
 * connection at the first firing after it has passed.
 */
export function whileBeating(own: Keepalive, every: number): Keepalive | undefined {
  const { enable, userTimeout } = own
  // MPTCP sockets do not have the option.
  if (userTimeout === undefined) return undefined
  if (!enable) {
    return userTimeout === 0
      ? { enable: true, initialDelay: every, interval: every, count: COUNT_MAX, userTimeout }
      : undefined
  }
  // The connection's own options make the kernel probe often enough.
  if (own.initialDelay <= every) return undefined
  const beating = { ...own, initialDelay: every, interval: Math.min(own.interval, every) }
  if (userTimeout > 0) return endsTooSoon(beating, timeOfDeath(own)) ? undefined : beating
  const count = Math.ceil((timeOfDeath(own) - every) / beating.interval)
  return count <= COUNT_MAX ? { ...beating, count } : undefined
}

/** The time from the last segment until the kernel ends an idle connection, if its timer fires on time. */
function timeOfDeath({ initialDelay, interval, count, userTimeout }: Keepalive): number {
  const firings = userTimeout ? Math.max(1, Math.ceil((userTimeout - initialDelay) / interval)) : count
  return initialDelay + firings * interval
}

/** Whether a firing, which may be late, can come after `userTimeout` and before `end`. */
function endsTooSoon({ initialDelay, interval, userTimeout = 0 }: Keepalive, end: number): boolean {
  for (let firing = initialDelay + interval; firing < end; firing += interval) {
    if (firing * (1 + LATENESS) >= userTimeout) return userTimeout < end
  }
  return false
}
