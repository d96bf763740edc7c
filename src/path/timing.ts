/**
 * When the kernel probes an idle connection, ms.
 *
 * @inline
 */
export interface Timing {
  readonly initialDelay: number
  readonly interval: number
  readonly count: number
}

/** The time from a write to the start of the user timeout, on a path without delay: as `detectionTime` computes it. */
export const FIRST_RETRANSMISSION = 400

/** The fastest detection by the kernel: one probe after a second, and a second for its answer. */
export const FASTEST_DETECTION = 2_000

/** The longest initialDelay, s: one probe in two minutes lets a radio sleep. */
const LONGEST_DELAY = 120

/** The kernel's timers are late by up to an eighth of each wait. */
export const LATEST = 9 / 8

/**
 * The latest first probe on a path with this idle timeout: half of it. A second probe, a third of that later, is then in time as well, even
 * if both are late by an eighth. In whole seconds, and one at least, as the kernel requires.
 */
export function latestProbe(memory: number): number {
  return Math.max(1, Math.min(LONGEST_DELAY, Math.floor(memory / 2_000))) * 1_000
}

/**
 * Three probes if they fit. Half of the time allowed passes before the first, if the path allows that, and the other half is for
 * the probes.
 */
export function timingFor(memory: number, detectWithin = Number.POSITIVE_INFINITY): Timing {
  const latest = latestProbe(memory) / 1_000
  const allowed = Math.max(FASTEST_DETECTION, detectWithin)
  const within = Math.floor(allowed / 1_000)
  const count = Math.min(3, within - 1)
  const interval = Math.max(1, Math.min(Math.round(within / 6), Math.floor(latest / 3)))
  const initialDelay = Math.min(latest, within - count * interval)
  return { initialDelay: initialDelay * 1_000, interval: interval * 1_000, count }
}
