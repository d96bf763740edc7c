import type { PathState } from '../connection/destinations.js'
import { seconds, times } from '../format.js'
import type { Keepalive, Sample } from '../kernel/liveness.js'
import { isOpen, isWindowShut, RECENT, silenceOf, timeoutOfPath, WINDOW_GRACE } from '../probe/evidence.js'

// Decides when to sample a connection, when to probe it, and what to report. Pure: the input is samples and a clock, so that years of many
// connections can be simulated. Times in ms, on the clock of the samples.

/** A heartbeat's options, checked. */
export interface Heartbeat {
  /** A peer is probed when it has not been heard for this time. */
  readonly every: number
  /** How long an attempt waits for the answer. */
  readonly timeout: number
  /** How many attempts must go unanswered before the peer is declared dead. */
  readonly attempts: number
}

/**
 * The state of a connection between samples. It is changed in place: with thousands of samples a second, collecting objects that have lived for
 * seconds would cost more than sampling.
 */
export interface HeartbeatState {
  /** When the peer was last heard. */
  heardAt: number
  /** When a sample first showed an unanswered probe or retransmission; NaN: none is unanswered. */
  doubtedAt: number
  isSuspect: boolean
  /** Whether it has been probed at a random time, apart from connections that went idle at the same time. */
  isSpread: boolean
  /**
   * Time between two answers, if the kernel sends the probes; NaN: we send them.
   */
  period: number
  /** When to probe the peer; Infinity without a heartbeat, and during a probe. */
  beatAt: number
  /**
   * The time without a segment after which the peer is probed, ms: `every`. Less until the path has answered a probe, so that it is known early
   * whether it does. It doubles each time the peer was heard otherwise.
   */
  wait: number
  /** Whether to probe it now. */
  isToBeProbed: boolean
  /** When to sample next. */
  sampleAt: number
}

/** Connections that are due within this many ms are sampled together, because a wake-up costs more than a sample. */
export const SLOT = 50

/** The same as a share of `every`. The larger one applies. */
const SLOT_SHARE = 0.02
const LONGEST_SLOT = 1_000

/** The width in ms within which heartbeats are sampled together, a multiple of {@link SLOT}. */
export function slotOf({ every }: Heartbeat): number {
  return SLOT * Math.max(1, Math.floor(Math.min(LONGEST_SLOT, every * SLOT_SHARE) / SLOT))
}

/** A probe that has been unanswered for less time may still be answered. On a slow path the time is longer. */
const LEAST_GRACE = 250

/** How soon after a probe a sample shows whether it was answered: one or two ticks of the kernel. */
const AFTER_PROBE = 50

/** How often a connection in trouble is sampled, ms. The longer it has been idle, the less often. */
const IN_TROUBLE = 250
const SHARE_OF_SILENCE = 16
const LONG_IN_TROUBLE = 5_000

/** The kernel's timer is late by up to an eighth of the wait. */
const SHARE_OF_WAIT = 16
const SHORTEST_WAIT = 50

/** Without a user timeout, retransmission takes 15 minutes to end a connection. */
const LONGEST_CALM = 60_000

/** The share of `every` over which heartbeats are spread. */
const SPREAD = 0.1

/** Two readings of when a peer was heard may differ by this, in ms: a few ticks. */
const SAME = 25

/**
 * When to probe a peer that was heard at `heardAt`. Jittered over a tenth of `every`, so that connections that were heard together do not probe in
 * lockstep. Not within the first second, because TCP_KEEPIDLE is at least a second.
 *
 * @param random 0 ≤ random < 1
 */
export function nextBeat(heardAt: number, { every }: Pick<Heartbeat, 'every'>, random: number): number {
  return heardAt + Math.max(RECENT, every * (1 - SPREAD)) + random * every * SPREAD
}

type Silence = Pick<Sample, 'sampledAt' | 'heardAt'>

/** The kernel's timers are late by this share of their time at most. */
const LATENESS = 1 / 8

/**
 * The kernel sends the probes of at most this many connections. Its timers fire in batches that span up to an eighth of their time. With the
 * connections spread evenly, no batch reaches 1,000 (net.core.netdev_max_backlog), beyond which a machine drops packets to itself.
 */
export const MOST_BEATING = 6_000

/** The longest period, in ms, for which the kernel's timers are exact enough. */
const LONGEST_PERIOD = 16_000

/**
 * The idle time in ms after which the kernel sends a probe; `undefined` if we send the probes. The kernel's timers are not exact enough for a
 * heartbeat of 1 s, and above 16 s they fire in batches that span seconds.
 */
export function kernelPeriod({ every }: Heartbeat): number | undefined {
  return every > RECENT && every <= LONGEST_PERIOD ? every : undefined
}

/** Leaves the probes to the kernel. The lateness of its timer is unknown until the first probe, so the largest is assumed. */
export function beginKernelBeats(state: HeartbeatState, every: number): void {
  state.period = every * (1 + LATENESS)
}

/**
 * Takes the probes back from the kernel. The next probe comes at a random time again before the kernel takes over. Otherwise the kernel would always
 * probe connections together that came back at the same time.
 */
export function endKernelBeats(state: HeartbeatState): void {
  state.period = Number.NaN
  state.isSpread = false
}

/** Whether the kernel sends the probes. */
export function kernelBeats(state: HeartbeatState): boolean {
  return !Number.isNaN(state.period)
}

/**
 * The state of a connection that was just added. If it has been idle for longer than `every`, its first probe comes at a random time within `every`:
 * a program may add thousands at once.
 *
 * @param hasAnswered whether the path is known to answer probes.
 */
export function firstState(
  { sampledAt, heardAt }: Silence,
  heartbeat: Heartbeat | undefined,
  random: number,
  hasAnswered = true,
): HeartbeatState {
  const wait = hasAnswered ? Number.POSITIVE_INFINITY : RECENT
  const beatAt = beatAfter(heardAt, heartbeat, random, wait)
  const isOverdue = heartbeat !== undefined && beatAt < sampledAt
  return {
    heardAt,
    doubtedAt: Number.NaN,
    isSuspect: false,
    isSpread: isOverdue,
    period: Number.NaN,
    beatAt: isOverdue ? sampledAt + random * Math.min(wait, heartbeat.every) : beatAt,
    wait,
    isToBeProbed: false,
    sampleAt: sampledAt,
  }
}

/** Sets the state after the peer was heard, or after the heartbeat has changed. */
export function renewState(
  state: HeartbeatState,
  heardAt: number,
  heartbeat: Heartbeat | undefined,
  random: number,
): void {
  state.heardAt = heardAt
  state.doubtedAt = Number.NaN
  state.isSuspect = false
  state.beatAt =
    heartbeat && kernelBeats(state)
      ? heardAt + state.period + heartbeat.timeout
      : beatAfter(heardAt, heartbeat, random, state.wait)
}

/**
 * Follows the answers to the kernel's probes. The next answer is expected as long after this one as this one came after the last. A segment at
 * another time is not an answer. Data moves the kernel's timers, so after a broadcast the kernel would probe all its receivers in one tick. So we
 * send the probes of a connection that receives anything other than answers.
 */
function followAnswers(state: HeartbeatState, sample: Sample, heartbeat: Heartbeat): void {
  const since = sample.heardAt - state.heardAt
  const isAnswer =
    since >= heartbeat.every - SAME && since <= heartbeat.every * (1 + LATENESS) + heartbeat.timeout
  if (isAnswer && isOpen(sample.state)) state.period = since
  else endKernelBeats(state)
}

/**
 * Sets the state after an answer. The probe after the first answer comes at a random time within `every`, so that connections that went idle
 * together are probed together only once.
 */
export function afterAnswer(
  state: HeartbeatState,
  heardAt: number,
  heartbeat: Heartbeat,
  random: number,
): void {
  state.wait = Number.POSITIVE_INFINITY
  renewState(state, heardAt, heartbeat, random)
  if (state.isSpread) return
  const { every } = heartbeat
  state.beatAt = heardAt + RECENT + random * Math.max(every * SPREAD, every - RECENT)
  state.isSpread = true
}

function beatAfter(heardAt: number, heartbeat: Heartbeat | undefined, random: number, wait: number): number {
  return heartbeat
    ? nextBeat(heardAt, { every: Math.min(wait, heartbeat.every) }, random)
    : Number.POSITIVE_INFINITY
}

/** When to probe again, if all attempts went unanswered on a path that is not known to answer. The peer may be alive, so less and less often. */
export function probeAgainAt(now: number, silence: number, { every }: Heartbeat): number {
  return now + Math.max(every, silence)
}

/**
 * Updates the state from a sample. Returns the event to report, if any.
 *
 * @param own the options that the connection has; `undefined` if suspicion is not wanted.
 */
export function observe(
  state: HeartbeatState,
  sample: Sample,
  own: Keepalive | undefined,
  heartbeat: Heartbeat | undefined,
  random: number,
): 'suspect' | 'recover' | undefined {
  const wasSuspect = state.isSuspect
  const isHeard = sample.heardAt > state.heardAt + SAME
  if (isHeard) {
    if (heartbeat && kernelBeats(state)) followAnswers(state, sample, heartbeat)
    // Other connections may have received such a segment at the same time: from a broadcast, or as answers to probes of their own timers.
    else state.isSpread = false
    state.wait *= 2
    renewState(state, sample.heardAt, heartbeat, random)
  }
  state.isToBeProbed = sample.sampledAt >= state.beatAt
  if (state.isToBeProbed) state.beatAt = Number.POSITIVE_INFINITY
  if (!own) {
    state.doubtedAt = Number.NaN
    state.isSuspect = false
    state.sampleAt = state.beatAt
    return undefined
  }
  state.sampleAt = Math.min(
    state.beatAt,
    isDoubtful(sample) ? doubt(state, sample) : calm(state, sample, own),
  )
  if (state.isSuspect && !wasSuspect) return 'suspect'
  return isHeard && wasSuspect ? 'recover' : undefined
}

/** Updates the state while a probe or retransmission is unanswered. Returns when to sample next. */
function doubt(state: HeartbeatState, sample: Sample): number {
  if (Number.isNaN(state.doubtedAt)) state.doubtedAt = sample.sampledAt
  const certainAt = state.doubtedAt + graceOf(sample)
  state.isSuspect ||= sample.sampledAt >= certainAt
  return state.isSuspect ? sample.sampledAt + whileInTrouble(sample) : certainAt
}

function calm(state: HeartbeatState, sample: Sample, own: Keepalive): number {
  state.doubtedAt = Number.NaN
  return state.isToBeProbed ? sample.sampledAt + AFTER_PROBE : sampleAgainAt(sample, own)
}

/** How long a probe or retransmission may be unanswered without suspicion. */
function graceOf(sample: Sample): number {
  const least = isWindowShut(sample) ? WINDOW_GRACE : LEAST_GRACE
  return Math.max(least, timeoutOfPath(sample))
}

function isDoubtful(sample: Sample): boolean {
  return sample.probes > 0 || sample.retransmits > 0
}

function whileInTrouble(sample: Sample): number {
  return Math.min(LONG_IN_TROUBLE, Math.max(IN_TROUBLE, silenceOf(sample) / SHARE_OF_SILENCE))
}

/** When to sample next. Data in flight may be retransmitted soon. */
function sampleAgainAt(sample: Sample, own: Keepalive): number {
  const isAwaited = sample.unacked > 0 && silenceOf(sample) > sample.rto
  return isAwaited ? sample.sampledAt + sample.rto : calmUntil(sample, own)
}

/**
 * When to sample a connection that is not in trouble. Early enough that suspicion precedes its death by at least an interval.
 */
export function calmUntil({ sampledAt, heardAt }: Silence, own: Keepalive): number {
  const { enable, initialDelay, interval, userTimeout = 0 } = own
  // The program may send data at any time from now on.
  const data = userTimeout > 0 ? Math.max(RECENT, userTimeout - interval - RECENT) : LONGEST_CALM
  if (!enable) return sampledAt + data
  const due = heardAt + initialDelay
  return Math.min(sampledAt + data, due > sampledAt ? due : sampledAt + waitForTimer(sampledAt - due, own))
}

/** How long to wait for an overdue timer: it is late, or set to an `interval` that is longer than `initialDelay`. */
function waitForTimer(overdue: number, { initialDelay, interval }: Keepalive): number {
  const wait = Math.max(initialDelay / SHARE_OF_WAIT, overdue / 2)
  return Math.max(SHORTEST_WAIT, Math.min(wait, interval / 2))
}

/** Why a connection is suspect, in words. */
export function suspicionOf(sample: Sample, path: PathState): string {
  const { retransmits, probes } = sample
  const what = retransmits > 0 ? times(retransmits, 'retransmission') : times(probes, 'probe')
  const words = `${what} unanswered, silent for ${seconds(silenceOf(sample))}`
  // Data in flight must be acknowledged on any path.
  return path === 'answers' || retransmits > 0 ? words : `${words}; ${pathWords[path]}`
}

const pathWords = {
  unproven: 'this connection has never been seen to answer a probe',
  deaf: 'this path passes data, but no probes',
} as const
