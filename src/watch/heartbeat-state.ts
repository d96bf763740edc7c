import { seconds, times } from '../format.js'
import type { Keepalive, Sample } from '../kernel/liveness.js'
import { isOpen, isWindowShut, RECENT, silenceOf, timeoutOfPath, WINDOW_GRACE } from '../probe/evidence.js'

// When to look at a connection, and what to make of what is seen. Readings and a clock go in, decisions come out, and nothing else is
// touched, so that years of many connections can be simulated. Times in ms, on the clock of the readings.

/** A question on a schedule. */
export interface Heartbeat {
  /** So long after it was last heard a peer is asked. */
  readonly every: number
  /** How long an attempt waits for the answer. */
  readonly timeout: number
  /** How many go unanswered until the peer is called dead. */
  readonly attempts: number
}

/**
 * What is remembered of a connection from one look to the next, and what follows from the last. Changed in place: thousands are looked at
 * each second, and to collect what has lived for seconds costs more than the looks.
 */
export interface HeartbeatState {
  /** When the peer was last heard. */
  heardAt: number
  /** Since when something is known to be unanswered; NaN: nothing is. */
  doubtedAt: number
  isSuspect: boolean
  /** Whether it has been asked, and not together with all others. */
  isSpread: boolean
  /**
   * How long after the peer was last heard it will be heard again, where that is the answer to the kernel's next question, on a clock that
   * it has been lent; NaN: it has none.
   */
  period: number
  /** When the peer is to be asked; Infinity without a heartbeat, and while a question is under way. */
  beatAt: number
  /** Whether that is now. */
  isToBeProbed: boolean
  /** When to look again. */
  sampleAt: number
}

/** What is due within so many ms is seen to together: waking up costs more than a look. */
export const SLOT = 50

/** Of `every`, where that is more. */
const SLOT_SHARE = 0.02
const LONGEST_SLOT = 1_000

/** Within how many ms beats are seen to together, a multiple of {@link SLOT}. */
export function slotOf({ every }: Heartbeat): number {
  return SLOT * Math.max(1, Math.floor(Math.min(LONGEST_SLOT, every * SLOT_SHARE) / SLOT))
}

/** A question that has been unanswered for less may yet be answered; more where the path takes longer. */
const LEAST_GRACE = 250

/** How soon after a question it shows whether it has been answered: a tick or two of the kernel's. */
const AFTER_PROBE = 50

/** How often a connection in trouble is looked at: less so the longer it has been silent. */
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
 * When a peer that was heard at `heardAt` is to be asked. Spread over a tenth of `every`, so that those who were heard together do not
 * beat together for ever; and not before there is a second of silence, which it takes to ask.
 *
 * @param random 0 ≤ random < 1
 */
export function nextBeat(heardAt: number, { every }: Heartbeat, random: number): number {
  return heardAt + Math.max(RECENT, every * (1 - SPREAD)) + random * every * SPREAD
}

type Silence = Pick<Sample, 'sampledAt' | 'heardAt'>

/** By how much of their time the kernel's timers are late at most. */
const LATENESS = 1 / 8

/**
 * To so many connections at once. The kernel makes heaps of its timers, an eighth of their time wide at most: spread evenly, none of these is as
 * large as the 1,000 (net.core.netdev_max_backlog) beyond which a machine loses what it sends to itself.
 */
export const MOST_BEATING = 6_000

/** Of a longer time the kernel's timers make heaps of seconds. */
const LONGEST_PERIOD = 16_000

/**
 * After how much silence, in ms, the kernel is to ask by itself, where it can do so as the heartbeat would: it counts in whole seconds, and
 * a heartbeat of one is too exact for it.
 */
export function kernelPeriod({ every }: Heartbeat): number | undefined {
  const clock = Math.floor(every / 1000) * 1000
  return clock > RECENT && clock <= LONGEST_PERIOD && clock >= every * (1 - SPREAD) ? clock : undefined
}

/** The kernel has been lent a clock; before its first question it is not known how late its timer is. */
export function beginKernelBeats(state: HeartbeatState, clock: number): void {
  state.period = clock * (1 + LATENESS)
}

/** Those from whom it is taken back together are to be spread before they are lent it again: the kernel keeps them together for ever. */
export function endKernelBeats(state: HeartbeatState): void {
  state.period = Number.NaN
  state.isSpread = false
}

/** Whether the kernel asks by itself. */
export function kernelBeats(state: HeartbeatState): boolean {
  return !Number.isNaN(state.period)
}

/**
 * Of a connection that is not known yet. Thousands may be added at once that have all been silent for longer than `every`: they are asked
 * one after the other, for as long as that.
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
 * The next answer comes as long after this one as this after the last. What is heard at another time is no answer: many may be told
 * something at once, whom the kernel would ask at once then, so the clock is taken back from who has more to say than answers.
 */
function followAnswers(state: HeartbeatState, sample: Sample, heartbeat: Heartbeat): void {
  const clock = kernelPeriod(heartbeat)!
  const since = sample.heardAt - state.heardAt
  const isAnswer = since >= clock - SAME && since <= clock * (1 + LATENESS) + heartbeat.timeout
  if (isAnswer && isOpen(sample.state)) state.period = since
  else endKernelBeats(state)
}

/**
 * The peer has answered. After its first answer it is asked at any moment within `every`, so that those who were silent together
 * are asked together but once.
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
 * @param own the options that the connection has; `undefined` where suspicion is of no interest.
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

/** Something is unanswered. Returns when to look again. */
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
 * Until when a connection that is not in trouble cannot have been in it for long: it is looked at then, so that suspicion precedes its
 * death by an interval.
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
