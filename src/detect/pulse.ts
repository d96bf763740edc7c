import type { Keepalive, Look } from '../kernel/liveness.js'
import { isWindowShut, RECENT, silenceOf, timeoutOfPath, WINDOW_GRACE } from './answer.js'
import { seconds, times } from './words.js'

// When to look at a connection, and what to make of what is seen. Pure: readings and a clock go in, decisions come out, so that years of
// many connections can be simulated. Times in ms, on the clock of the readings.

/** A question on a schedule. */
export interface Heartbeat {
  /** So long after it was last heard a peer is asked. */
  readonly every: number
  /** How long an attempt waits for the answer. */
  readonly timeout: number
  /** How many go unanswered until the peer is called dead. */
  readonly attempts: number
}

/** What is remembered of a connection from one look to the next. */
export interface Pulse {
  /** When the peer was last heard. */
  readonly heardAt: number
  /** Since when something is known to be unanswered. */
  readonly doubtedAt?: number
  readonly isSuspect: boolean
  /** Whether it has been asked, and not together with all others. */
  readonly isSpread: boolean
  /** When the peer is to be asked; Infinity without a heartbeat, and while a question is under way. */
  readonly beatAt: number
}

export interface Decision {
  readonly pulse: Pulse
  readonly event?: 'suspect' | 'recover'
  /** Whether it is time to ask the peer. */
  readonly isToBeAsked: boolean
  /** When to look again. */
  readonly lookAt: number
}

/** What is due within so many ms is seen to together: waking up costs more than a look. */
export const SLOT = 50

/** A question that has been unanswered for less may yet be answered; more where the path takes longer. */
const LEAST_GRACE = 250

/** How soon after a question it shows whether it has been answered: a tick or two of the kernel's. */
const AFTER_ASKING = 50

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

type Silence = Pick<Look, 'seenAt' | 'heardAt'>

/**
 * Of a connection that is not known yet. Thousands may be added at once that have all been silent for longer than `every`: they are asked
 * one after the other, for as long as that.
 */
export function firstPulse(
  { seenAt, heardAt }: Silence,
  heartbeat: Heartbeat | undefined,
  random: number,
): Pulse {
  const pulse = freshPulse(heardAt, heartbeat, random)
  return heartbeat && pulse.beatAt < seenAt
    ? { ...pulse, beatAt: seenAt + random * heartbeat.every, isSpread: true }
    : pulse
}

/** Of one that has just been heard. */
export function freshPulse(
  heardAt: number,
  heartbeat: Heartbeat | undefined,
  random: number,
  isSpread = false,
): Pulse {
  const beatAt = heartbeat ? nextBeat(heardAt, heartbeat, random) : Number.POSITIVE_INFINITY
  return { heardAt, isSuspect: false, isSpread, beatAt }
}

/**
 * Of one that has just answered. After its first answer it is asked at any moment within `every`, so that those who were silent together
 * are asked together but once.
 */
export function answeredPulse(pulse: Pulse, heardAt: number, heartbeat: Heartbeat, random: number): Pulse {
  if (pulse.isSpread) return freshPulse(heardAt, heartbeat, random, true)
  const { every } = heartbeat
  const beatAt = heardAt + RECENT + random * Math.max(every * SPREAD, every - RECENT)
  return { heardAt, isSuspect: false, isSpread: true, beatAt }
}

/**
 * What a look says, and what follows.
 *
 * @param own the options that the connection has; `undefined` where suspicion is of no interest.
 */
export function attend(
  pulse: Pulse,
  look: Look,
  own: Keepalive | undefined,
  heartbeat: Heartbeat | undefined,
  random: number,
): Decision {
  const isHeard = look.heardAt > pulse.heardAt + SAME
  const known = isHeard ? freshPulse(look.heardAt, heartbeat, random, pulse.isSpread) : pulse
  const isToBeAsked = look.seenAt >= known.beatAt
  const beatAt = isToBeAsked ? Number.POSITIVE_INFINITY : known.beatAt
  const { heardAt, isSpread } = known
  if (!own) return { pulse: { heardAt, isSuspect: false, isSpread, beatAt }, isToBeAsked, lookAt: beatAt }
  const recovery = isHeard && pulse.isSuspect ? ({ event: 'recover' } as const) : undefined
  if (!isDoubtful(look)) {
    const next = { heardAt, isSuspect: known.isSuspect, isSpread, beatAt }
    const lookAt = isToBeAsked ? look.seenAt + AFTER_ASKING : lookAgainAt(look, own)
    return { pulse: next, ...recovery, isToBeAsked, lookAt: Math.min(beatAt, lookAt) }
  }
  const doubtedAt = known.doubtedAt ?? look.seenAt
  const certainAt = doubtedAt + graceOf(look)
  const isSuspect = known.isSuspect || look.seenAt >= certainAt
  const lookAt = isSuspect ? look.seenAt + whileInTrouble(look) : certainAt
  return {
    pulse: { heardAt, doubtedAt, isSuspect, isSpread, beatAt },
    ...recovery,
    ...(isSuspect && !known.isSuspect && { event: 'suspect' }),
    isToBeAsked,
    lookAt: Math.min(beatAt, lookAt),
  }
}

/** The kernel doubles its timeout with each retransmission. */
function graceOf(look: Look): number {
  const least = isWindowShut(look) ? WINDOW_GRACE : LEAST_GRACE
  return Math.max(least, timeoutOfPath(look))
}

function isDoubtful(look: Look): boolean {
  return look.probes > 0 || look.retransmits > 0
}

function whileInTrouble(look: Look): number {
  return Math.min(LONG_IN_TROUBLE, Math.max(IN_TROUBLE, silenceOf(look) / SHARE_OF_SILENCE))
}

/** Data on the way may be sent again soon. */
function lookAgainAt(look: Look, own: Keepalive): number {
  const isAwaited = look.unacked > 0 && silenceOf(look) > look.rto
  return isAwaited ? look.seenAt + look.rto : calmUntil(look, own)
}

/**
 * Until when a connection that is not in trouble cannot have been in it for long: it is looked at then, so that suspicion precedes its
 * death by an interval.
 */
export function calmUntil({ seenAt, heardAt }: Silence, own: Keepalive): number {
  const { enable, initialDelay, interval, userTimeout = 0 } = own
  // Data may be sent at any time from now on.
  const data = userTimeout > 0 ? Math.max(RECENT, userTimeout - interval - RECENT) : LONGEST_CALM
  if (!enable) return seenAt + data
  const due = heardAt + initialDelay
  return Math.min(seenAt + data, due > seenAt ? due : seenAt + waitForTimer(seenAt - due, own))
}

/** The kernel's timer is late, or stands at an `interval` that is longer than `initialDelay`. */
function waitForTimer(overdue: number, { initialDelay, interval }: Keepalive): number {
  const wait = Math.max(initialDelay / SHARE_OF_WAIT, overdue / 2)
  return Math.max(SHORTEST_WAIT, Math.min(wait, interval / 2))
}

/** Why a connection is suspect, in words. */
export function suspicionOf(look: Look): string {
  const { retransmits, probes } = look
  const what = retransmits > 0 ? times(retransmits, 'retransmission') : times(probes, 'probe')
  return `${what} unanswered, silent for ${seconds(silenceOf(look))}`
}
