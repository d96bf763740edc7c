import { detectionTime } from '../profile/detection-time.js'

/**
 * When to ask, and how often. ms.
 *
 * @inline
 */
export interface Timing {
  readonly initialDelay: number
  readonly interval: number
  readonly count: number
}

/** What the kernel takes after a write before it starts the clock of a user timeout, on a path without a round trip. */
export const FIRST_RETRANSMISSION = detectionTime({ userTimeout: 1_000 }).inFlight - 1_000

/** The least that the kernel can do: one probe after a second, and a second for its answer. */
export const fastest = detectionTime({ initialDelay: 1_000, interval: 1_000, count: 1 }).idle

/** Where no hop forgets sooner: one probe in two minutes lets a radio sleep. */
const LONGEST_DELAY = 120

/** The kernel's timers are late by up to an eighth of each wait. */
export const LATEST = 9 / 8

/**
 * The first probe, at the latest, on a path that forgets a connection after so long. Half of it: so a second one, a third
 * of that later, is in time as well, both late by an eighth. Whole seconds; one at least, which the kernel cannot go under.
 */
export function latestProbe(memory: number): number {
  return Math.max(1, Math.min(LONGEST_DELAY, Math.floor(memory / 2_000))) * 1_000
}

/**
 * Three probes wherever they fit. Half of the time allowed is for the silence before them, as far as the path allows that, and
 * the other half is theirs.
 */
export function timingFor(memory: number, detectWithin = Number.POSITIVE_INFINITY): Timing {
  const latest = latestProbe(memory) / 1_000
  const allowed = Math.max(fastest, detectWithin)
  const within = Math.floor(allowed / 1_000)
  const count = Math.min(3, within - 1)
  const interval = Math.max(1, Math.min(Math.round(within / 6), Math.floor(latest / 3)))
  const initialDelay = Math.min(latest, within - count * interval)
  return { initialDelay: initialDelay * 1_000, interval: interval * 1_000, count }
}
