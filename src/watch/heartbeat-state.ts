import { seconds, times } from '../format.js'
import type { Keepalive, Sample } from '../kernel/liveness.js'
import { isOpen, isWindowShut, RECENT, silenceOf, timeoutOfPath, WINDOW_GRACE } from '../probe/evidence.js'

// When to sample a connection, when to probe it, and what to report. Pure: samples and a clock go in, decisions come out, so that years of many
// connections can be simulated. Times in ms, on the clock of the samples.

/** A probe on a schedule. */
export interface Heartbeat {
  /** A peer is probed so long after it was last heard. */
  readonly every: number
  /** How long an attempt waits for the answer. */
  readonly timeout: number
  /** How many go unanswered before the peer is declared dead. */
  readonly attempts: number
}

/**
 * What is remembered of a connection from one sample to the next, and what follows from the last. Changed in place: with thousands of samples
 * a second, collecting objects that have lived for seconds would cost more than the samples.
 */
export interface HeartbeatState {
  /** When the peer was last heard. */
  heardAt: number
  /** Since when something is known to be unanswered; NaN: nothing is. */
  doubtedAt: number
  isSuspect: boolean
  /** Whether it has been probed at a moment of its own, not together with others that went idle at the same time. */
  isSpread: boolean
  /**
   * How long after it was last heard the peer is heard again, if the kernel sends the probes and the next one is answered; NaN: we send them.
   */
  period: number
  /** When the peer is to be probed; Infinity without a heartbeat, and while it is being probed. */
  beatAt: number
  /** Whether that is now. */
  isToBeProbed: boolean
  /** When to sample next. */
  sampleAt: number
}

/** Connections that are due within so many ms are sampled together: a wake-up costs more than a sample. */
export const SLOT = 50

/** As a share of `every`, if that is more. */
const SLOT_SHARE = 0.02
const LONGEST_SLOT = 1_000

/** Within how many ms heartbeats are sampled together, a multiple of {@link SLOT}. */
export function slotOf({ every }: Heartbeat): number {
  return SLOT * Math.max(1, Math.floor(Math.min(LONGEST_SLOT, every * SLOT_SHARE) / SLOT))
}

/** A probe that has been unanswered for less may yet be answered; for more if the path takes longer. */
const LEAST_GRACE = 250

/** How soon after a probe a sample shows whether it was answered: a tick or two of the kernel's. */
const AFTER_PROBE = 50

/** How often a connection in trouble is sampled: the less often, the longer it has been idle. */
const IN_TROUBLE = 250
const SHARE_OF_SILENCE = 16
const LONG_IN_TROUBLE = 5_000

/** The kernel's timer is late by up to an eighth of the wait. */
const SHARE_OF_WAIT = 16
const SHORTEST_WAIT = 50

/** Without a user timeout retransmission ends a connection after 15 minutes. */
const LONGEST_CALM = 60_000

/** How much of `every` the beats are spread over. */
const SPREAD = 0.1

/** Two readings of when a peer was heard may differ by ticks. */
const SAME = 25

/**
 * When a peer that was heard at `heardAt` is to be probed. Jittered over a tenth of `every`, so that connections that were heard together do not
 * probe in lockstep; and not within the first second, since TCP_KEEPIDLE is a second at least.
 *
 * @param random 0 ≤ random < 1
 */
export function nextBeat(heardAt: number, { every }: Heartbeat, random: number): number {
  return heardAt + Math.max(RECENT, every * (1 - SPREAD)) + random * every * SPREAD
}

type Silence = Pick<Sample, 'sampledAt' | 'heardAt'>

/** The kernel's timers are late by this share of their time at most. */
const LATENESS = 1 / 8

/**
 * The kernel sends the probes of so many connections at most. Its timers fire in heaps that are up to an eighth of their time wide. Spread
 * evenly, no heap is as large as the 1,000 (net.core.netdev_max_backlog) beyond which a machine loses what it sends to itself.
 */
export const MOST_BEATING = 6_000

/** The longest period that the kernel keeps well enough. */
const LONGEST_PERIOD = 16_000

/**
 * After how much silence, in ms, the kernel is to send a probe; `undefined` if we send them: a heartbeat of one second is too exact for the
 * kernel's timers, and beyond 16 s they fire in heaps of seconds.
 */
export function kernelPeriod({ every }: Heartbeat): number | undefined {
  return every > RECENT && every <= LONGEST_PERIOD ? every : undefined
}

/** The kernel sends the probes from now on. Until the first one it is not known how late its timer is. */
export function beginKernelBeats(state: HeartbeatState, every: number): void {
  state.period = every * (1 + LATENESS)
}

/**
 * We send the probes again. Connections to which this happens at the same time are spread again before the kernel takes over. Otherwise it
 * would always probe them together.
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
 * The state of a connection that was just added. Thousands may be added at once that have all been idle for longer than `every`: their probes
 * are spread over `every`.
 */
export function firstState(
  { sampledAt, heardAt }: Silence,
  heartbeat: Heartbeat | undefined,
  random: number,
): HeartbeatState {
  const beatAt = beatAfter(heardAt, heartbeat, random)
  const isOverdue = heartbeat !== undefined && beatAt < sampledAt
  return {
    heardAt,
    doubtedAt: Number.NaN,
    isSuspect: false,
    isSpread: isOverdue,
    period: Number.NaN,
    beatAt: isOverdue ? sampledAt + random * heartbeat.every : beatAt,
    isToBeProbed: false,
    sampleAt: sampledAt,
  }
}

/** The peer has been heard; or there is another heartbeat. */
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
      : beatAfter(heardAt, heartbeat, random)
}

/**
 * The next answer comes as long after this one as this one after the last. What is heard at another time is no answer. Data moves the kernel's
 * timers: after a broadcast it would probe all who heard it in one tick. So we send the probes of a connection that receives more than
 * answers.
 */
function followAnswers(state: HeartbeatState, sample: Sample, heartbeat: Heartbeat): void {
  const since = sample.heardAt - state.heardAt
  const isAnswer =
    since >= heartbeat.every - SAME && since <= heartbeat.every * (1 + LATENESS) + heartbeat.timeout
  if (isAnswer && isOpen(sample.state)) state.period = since
  else endKernelBeats(state)
}

/**
 * The peer has answered. After its first answer it is probed at any moment within `every`, so that connections that went idle together are
 * probed together only once.
 */
export function afterAnswer(
  state: HeartbeatState,
  heardAt: number,
  heartbeat: Heartbeat,
  random: number,
): void {
  renewState(state, heardAt, heartbeat, random)
  if (state.isSpread) return
  const { every } = heartbeat
  state.beatAt = heardAt + RECENT + random * Math.max(every * SPREAD, every - RECENT)
  state.isSpread = true
}

function beatAfter(heardAt: number, heartbeat: Heartbeat | undefined, random: number): number {
  return heartbeat ? nextBeat(heardAt, heartbeat, random) : Number.POSITIVE_INFINITY
}

/**
 * What a look says: it is in the state then, and what is to be told is returned.
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
    // All that receive a broadcast, or the answer to a probe of their own timers, may have heard it together.
    else state.isSpread = false
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

/** Something is unanswered. Returns when to sample next. */
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

/** The kernel doubles its timeout with each retransmission. */
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

/** Data on the way may be sent again soon. */
function sampleAgainAt(sample: Sample, own: Keepalive): number {
  const isAwaited = sample.unacked > 0 && silenceOf(sample) > sample.rto
  return isAwaited ? sample.sampledAt + sample.rto : calmUntil(sample, own)
}

/**
 * When to sample a connection that is not in trouble, so that suspicion precedes its death by an interval at least.
 */
export function calmUntil({ sampledAt, heardAt }: Silence, own: Keepalive): number {
  const { enable, initialDelay, interval, userTimeout = 0 } = own
  // Data may be sent at any time from now on.
  const data = userTimeout > 0 ? Math.max(RECENT, userTimeout - interval - RECENT) : LONGEST_CALM
  if (!enable) return sampledAt + data
  const due = heardAt + initialDelay
  return Math.min(sampledAt + data, due > sampledAt ? due : sampledAt + waitForTimer(sampledAt - due, own))
}

/** The kernel's timer is late, or stands at an `interval` that is longer than `initialDelay`. */
function waitForTimer(overdue: number, { initialDelay, interval }: Keepalive): number {
  const wait = Math.max(initialDelay / SHARE_OF_WAIT, overdue / 2)
  return Math.max(SHORTEST_WAIT, Math.min(wait, interval / 2))
}

/** Why a connection is suspect, in words. */
export function suspicionOf(sample: Sample): string {
  const { retransmits, probes } = sample
  const what = retransmits > 0 ? times(retransmits, 'retransmission') : times(probes, 'probe')
  return `${what} unanswered, silent for ${seconds(silenceOf(sample))}`
}
