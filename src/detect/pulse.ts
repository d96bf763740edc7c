import type { Keepalive, Look } from '../kernel/liveness.js'
import { RECENT, silenceOf } from './answer.js'
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

/** A question that has been unanswered for less may yet be answered; more where the path takes longer. */
const LEAST_GRACE = 250

/** How often a connection in trouble is looked at. */
const IN_TROUBLE = 250

/** The kernel's timer is late by up to an eighth of the wait: how often to look for a probe that is due. */
const SHARE_OF_WAIT = 16
const SHORTEST_WAIT = 50

/** Without keepalive and user timeout only retransmission tells, for 15 minutes. */
const LONGEST_CALM = 60_000

/** How much of `every` the beats are spread over. */
const SPREAD = 0.1

/** Two readings of when a peer was heard may differ by ticks. */
const SAME = 25

/**
 * When a peer that was heard at `heardAt` is to be asked. Spread over a tenth of `every`, so that connections that were opened, or
 * heard, together do not beat together for ever; and not before there is a second of silence, which it takes to ask.
 *
 * @param random 0 ≤ random < 1
 */
export function nextBeat(heardAt: number, { every }: Heartbeat, random: number): number {
  return heardAt + Math.max(RECENT, every * (1 - SPREAD)) + random * every * SPREAD
}

/** Of a connection that has just been heard, or is not known yet. */
export function freshPulse(heardAt: number, heartbeat: Heartbeat | undefined, random: number): Pulse {
  const beatAt = heartbeat ? nextBeat(heardAt, heartbeat, random) : Number.POSITIVE_INFINITY
  return { heardAt, isSuspect: false, beatAt }
}

/** What a look says, and what follows. `own` are the options that the connection has. */
export function attend(
  pulse: Pulse,
  look: Look,
  own: Keepalive,
  heartbeat: Heartbeat | undefined,
  random: number,
): Decision {
  const isHeard = look.heardAt > pulse.heardAt + SAME
  const known = isHeard ? freshPulse(look.heardAt, heartbeat, random) : pulse
  const recovery = isHeard && pulse.isSuspect ? ({ event: 'recover' } as const) : undefined
  const isToBeAsked = look.seenAt >= known.beatAt
  const beatAt = isToBeAsked ? Number.POSITIVE_INFINITY : known.beatAt
  if (!isDoubtful(look)) {
    const next = { heardAt: known.heardAt, isSuspect: known.isSuspect, beatAt }
    // What is asked now is doubtful from then on.
    const lookAt = isToBeAsked ? look.seenAt + graceOf(look) : calmUntil(look, own)
    return { pulse: next, ...recovery, isToBeAsked, lookAt: Math.min(beatAt, lookAt) }
  }
  const doubtedAt = known.doubtedAt ?? look.seenAt
  const isSuspect = known.isSuspect || look.seenAt >= doubtedAt + graceOf(look)
  const lookAt = isSuspect ? look.seenAt + IN_TROUBLE : doubtedAt + graceOf(look)
  return {
    pulse: { heardAt: known.heardAt, doubtedAt, isSuspect, beatAt },
    ...recovery,
    ...(isSuspect && !known.isSuspect && { event: 'suspect' }),
    isToBeAsked,
    lookAt: Math.min(beatAt, lookAt),
  }
}

function graceOf(look: Look): number {
  return Math.max(LEAST_GRACE, look.rto)
}

function isDoubtful(look: Look): boolean {
  return look.probes > 0 || look.retransmits > 0
}

/** Until when a connection that is not in trouble cannot have been in it for long. */
export function calmUntil(look: Look, own: Keepalive): number {
  const { enable, initialDelay, interval, userTimeout = 0 } = own
  const { seenAt, heardAt } = look
  if (look.unacked > 0 && silenceOf(look) > look.rto) return seenAt + look.rto
  // Data may be sent at any time from now on, and ends the connection after userTimeout: an interval before that it is noticed.
  const data = userTimeout > 0 ? Math.max(RECENT, userTimeout - interval - RECENT) : LONGEST_CALM
  const probed = enable ? probedAt(heardAt, seenAt, initialDelay) : Number.POSITIVE_INFINITY
  return Math.min(seenAt + data, probed)
}

function probedAt(heardAt: number, seenAt: number, initialDelay: number): number {
  const due = heardAt + initialDelay
  return due > seenAt ? due : seenAt + Math.max(SHORTEST_WAIT, initialDelay / SHARE_OF_WAIT)
}

/** Why a connection is suspect, in words. */
export function suspicionOf(look: Look): string {
  const { retransmits, probes } = look
  const what = retransmits > 0 ? times(retransmits, 'retransmission') : times(probes, 'probe')
  return `${what} unanswered, silent for ${seconds(silenceOf(look))}`
}
