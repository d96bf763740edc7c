import type { Keepalive, Sample } from '../kernel/liveness.js'
import { type KeepaliveClock, SECONDS_MAX, wholeSeconds } from './clock.js'

// Which options a connection must have in force, as opposed to those that its owner wants. Pure. `test/unit/overlay-never-harms.test.ts` holds
// this against a model of the kernel's timer.

/** Stand-ins for the owner's values that wait until the peer is heard. */
export type Deferred = { readonly [Name in keyof Keepalive]?: NonNullable<Keepalive[Name]> }

/** Why the options in force differ from the owner's. */
export interface Reasons {
  /** Tuning: values in force until the peer is heard, instead of the owner's, which could end the connection as it is (deferral.ts). */
  readonly deferred: Deferred | undefined
  /** Probing: where the timer would stand without our probes; `undefined` if nothing of ours is unanswered. */
  readonly clock: KeepaliveClock | undefined
  /** Of the unanswered probes that the kernel counts, those that we caused, also one that has yet to leave. */
  readonly unanswered: number
  /** The kernel is being made to send a probe at its next tick. */
  readonly isFiring: boolean
  /** Heartbeat: the kernel sends a probe after so much silence, in ms, whole seconds; `undefined`: it does not. */
  readonly beating: number | undefined
}

/** The kernel's largest TCP_KEEPCNT and TCP_USER_TIMEOUT. */
export const COUNT_MAX = 127
const USER_TIMEOUT_MAX = 2 ** 31 - 1

/** TCP_KEEPIDLE's least value: at or under any silence that is worth a probe, so the kernel sends one at its next tick. */
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
  // With data under way keepalive rests, and a raised userTimeout would hold for the retransmissions.
  return isUnderWay(sample) ? { ...wanted, userTimeout: base.userTimeout } : wanted
}

/** What the owner wants, but for what waits until the peer is heard. */
export function withDeferred(own: Keepalive, deferred: Deferred | undefined): Keepalive {
  return deferred ? { ...own, ...deferred } : own
}

/** Data is unacknowledged, or queued. */
export function isUnderWay(sample: Sample): boolean {
  return sample.unacked > 0 || sample.notSent > 0
}

/**
 * What a connection has while probes of ours are unanswered, so that it ends neither sooner nor later than by its own settings.
 *
 * The kernel counts our probes with its own. At a firing it gives up if `count` probes are unanswered, or, with a `userTimeout`, if that has
 * passed since the peer was last heard and at least one is. So `count` grows by ours. An unanswered probe before the kernel's own first would
 * make a `userTimeout` deadly one firing too early, so it becomes the time of death that follows from the connection's own clock. It is only
 * ever raised: it also bounds data in flight.
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
  // No room to count. With so many probes, a bound on data in flight of as many intervals does no harm for that long.
  return { ...own, initialDelay, userTimeout: deathAt(own, own.count, clock) }
}

function deathAt({ userTimeout = 0, interval }: Keepalive, probes: number, { due }: KeepaliveClock): number {
  return Math.min(USER_TIMEOUT_MAX, Math.max(userTimeout, due + probes * interval))
}

/**
 * What makes the kernel send a probe at its next tick. Nothing can be taken back before that tick, and this process may be stopped in between
 * for any length of time. So the firing after it is not before the one that the connection's own clock has due, and not so soon that a peer
 * which is heard in between, and vanishes then, has less time than the connection gives.
 *
 * @param unanswered with the probe that is to be sent.
 * @param silence since the peer was last heard, ms.
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
 * What makes the kernel send a probe after each `every` ms of silence, so that a heartbeat need only look. If the peer vanishes, and this
 * process is stopped, the connection ends no sooner than by its own settings, and at most an interval of these later. `undefined` if no values
 * promise that: then the heartbeat sends its own probes.
 *
 * TCP_USER_TIMEOUT serves two clocks. It bounds data in flight, so it is never changed for this, and never set if the owner's is 0: that
 * would end peers that are slow to read. With it, the kernel ends an idle connection at the first firing at which it has passed.
 */
export function whileBeating(own: Keepalive, every: number): Keepalive | undefined {
  const { enable, userTimeout } = own
  // MPTCP.
  if (userTimeout === undefined) return undefined
  if (!enable) {
    return userTimeout === 0
      ? { enable: true, initialDelay: every, interval: every, count: COUNT_MAX, userTimeout }
      : undefined
  }
  // The kernel's own timer probes often enough.
  if (own.initialDelay <= every) return undefined
  const beating = { ...own, initialDelay: every, interval: Math.min(own.interval, every) }
  if (userTimeout > 0) return endsTooSoon(beating, timeOfDeath(own)) ? undefined : beating
  const count = Math.ceil((timeOfDeath(own) - every) / beating.interval)
  return count <= COUNT_MAX ? { ...beating, count } : undefined
}

/** After how much silence the kernel ends an idle connection, by settings whose timer fires in time. */
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
