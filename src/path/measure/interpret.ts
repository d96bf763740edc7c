import { inWords } from '../in-words.js'
import type { MeasuredPath, MeasureNote, Observation } from '../measured-path.js'
import { bracketOf, endedTogether, idleOnes, toleranceOf } from './search.js'

// From observations to what a path does. Pure.

/** The part of the result that follows from the observations. */
export type Interpretation = Pick<
  MeasuredPath,
  'idleLimit' | 'idleTried' | 'onExpiry' | 'expiredBy' | 'answersProbes' | 'probesCount' | 'notes'
>

/** What the sockets did, beside the observations. */
export interface Circumstances {
  /** The longest idle time that was wanted, ms. */
  readonly upTo: number
  /** Why the measurement is not complete. Left out: it is. */
  readonly incomplete?: string
  /** How many connections could not be opened, and why the first could not. */
  readonly notOpened: { readonly count: number; readonly reason: string }
  /** How many connections heard from the other end while they were idle, and the longest time that it was quiet on them, ms. */
  readonly notIdle: { readonly count: number; readonly quietFor: number }
}

/** Loss may hide the answers to all probes of this share of the connections, or delay the handshake of as many. */
const LOST = 0.2
/** A path that acknowledges the first probes only leaves so many unacknowledged, one after the other. Loss seldom does. */
const STOPPED = 4

/** Says what a path does, from what happened to its connections. */
export function interpret(
  observations: readonly Observation[],
  circumstances: Circumstances,
): Interpretation {
  const { atLeast, atMost } = bracketOf(observations)
  const isLimited = atMost < Number.POSITIVE_INFINITY
  const idleTried = Math.max(0, ...idleOnes(observations).map(({ aliveAt }) => aliveAt))
  const probesCount = isLimited ? countsOf(observations) : undefined
  const answersProbes = answersOf(observations)
  const onExpiry = isLimited ? expiryOf(observations, atMost) : undefined
  const expiredBy = onExpiry && placeOf(observations, onExpiry, probesCount)
  const found = {
    ...(isLimited && { idleLimit: { atLeast, atMost } }),
    idleTried,
    ...(onExpiry && { onExpiry }),
    ...(expiredBy && { expiredBy }),
    ...(answersProbes && { answersProbes }),
    ...(probesCount !== undefined && { probesCount }),
  }
  return { ...found, notes: notesOn(found, observations, circumstances) }
}

/** How most connections ended that were idle for about the limit. */
function expiryOf(observations: readonly Observation[], atMost: number): MeasuredPath['onExpiry'] {
  const ends = goneNear(observations, atMost).map(({ outcome }) => outcome)
  const count = (outcome: string) => ends.filter((each) => each === outcome).length
  return (['close', 'reset', 'silent'] as const).reduce((most, each) =>
    count(each) > count(most) ? each : most,
  )
}

function goneNear(observations: readonly Observation[], atMost: number): Observation[] {
  return idleOnes(observations).filter(({ goneAt }) => goneAt !== undefined && goneAt <= atMost * 1.25)
}

/**
 * A FIN comes from the end that TCP reaches. Silence comes from a hop that has dropped the connection. A RST can come from either. If
 * probes restart the idle time, it is a hop's, because the timer of a program counts data only. If they do not, and the RST came
 * unasked, it is a program's.
 */
function placeOf(
  observations: readonly Observation[],
  onExpiry: NonNullable<MeasuredPath['onExpiry']>,
  probesCount: boolean | undefined,
): MeasuredPath['expiredBy'] {
  if (onExpiry === 'close') return 'peer'
  if (onExpiry === 'silent' || probesCount === true) return 'hop'
  const isUnasked = idleOnes(observations).some(({ outcome, unasked }) => outcome === 'reset' && unasked)
  return probesCount === false && isUnasked ? 'peer' : 'unknown'
}

function countsOf(observations: readonly Observation[]): boolean | undefined {
  const probed = observations.filter(({ probedEvery }) => probedEvery !== undefined)
  return probed.length === 0 ? undefined : probed.every(({ outcome }) => outcome === 'alive')
}

function answersOf(observations: readonly Observation[]): MeasuredPath['answersProbes'] {
  const alive = observations.filter(({ outcome, probes }) => outcome === 'alive' && probes > 0)
  const answering = alive.filter(({ acknowledged }) => acknowledged > 0).length
  // One unacknowledged probe may have been lost.
  const mute = alive.filter(({ acknowledged, probes }) => acknowledged === 0 && probes >= 3).length
  if (answering + mute === 0) return undefined
  if (answering === 0) return 'no'
  const stopped = alive.some(
    ({ acknowledged, unacknowledgedAtEnd }) => acknowledged > 0 && unacknowledgedAtEnd >= STOPPED,
  )
  return stopped || mute / (answering + mute) > LOST ? 'unreliable' : 'yes'
}

function notesOn(
  { idleLimit, idleTried, onExpiry, expiredBy, answersProbes, probesCount }: Omit<Interpretation, 'notes'>,
  observations: readonly Observation[],
  { incomplete, notOpened, notIdle }: Circumstances,
): MeasureNote[] {
  const notes: MeasureNote[] = []
  const note = (code: MeasureNote['code'], message: string) => void notes.push({ code, message })
  if (incomplete !== undefined) note('incomplete', incomplete)
  if (expiredBy === 'peer') {
    const ends = onExpiry === 'close' ? 'closes' : 'resets'
    note(
      'closed-by-peer',
      `The other end ${ends} idle connections itself. If a hop before it has a longer limit, this measurement cannot see it.`,
    )
  }
  if (answersProbes === 'no' || answersProbes === 'unreliable') {
    const which = answersProbes === 'no' ? 'no probe' : 'only some probes'
    note(
      'probes-unacknowledged',
      `Live connections acknowledged ${which}. Keepalive would end live connections on this path.`,
    )
  }
  if (probesCount === false) {
    note(
      'probes-not-counted',
      'Probes do not restart the idle time. Only data keeps a connection open on this path.',
    )
  }
  if (idleLimit && idleTried > idleLimit.atMost + toleranceOf(idleLimit.atMost)) {
    note(
      'contradiction',
      `A connection was alive after ${seconds(idleTried)}, another was gone after ${seconds(idleLimit.atMost)}. The limit differs between connections, or they take different paths. The shorter one counts.`,
    )
  }
  const together = endedTogether(observations).length
  if (together > 0) {
    note(
      'ended-together',
      `${together} connections of different ages ended at the same moment, as when a server restarts. They do not count.`,
    )
  }
  if (notIdle.count > observations.length * LOST) {
    note(
      'peer-not-idle',
      `The other end sent something on ${notIdle.count} connections while they were idle. They were quiet for up to ${seconds(notIdle.quietFor)}.`,
    )
  }
  if (notOpened.count > 0) {
    note('not-opened', `${notOpened.count} connections could not be opened: ${notOpened.reason}.`)
  }
  return notes
}

function seconds(ms: number): string {
  return inWords(Math.round(ms / 100) * 100)
}
