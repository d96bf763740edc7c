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

/** The time from a write until the kernel starts to count the user timeout, on a path with an RTT of 0, in ms. `detectionTime` computes the same. */
export const FIRST_RETRANSMISSION = 400

/** The fastest detection by the kernel, ms: one probe after a second, and a second until the next timer. */
export const FASTEST_DETECTION = 2_000

/** The longest initialDelay, s. A phone's radio can sleep between probes that are two minutes apart. */
const LONGEST_DELAY = 120

/** The kernel's timers fire late by up to an eighth of each wait. */
export const LATEST = 9 / 8

/**
 * The latest initialDelay on a path with this idle timeout, ms: half of the timeout. Then a second probe, a third of that later, is also in
 * time, even if both fire an eighth late. The kernel requires whole seconds, at least 1.
 */
export function latestProbe(idleTimeout: number): number {
  return Math.max(1, Math.min(LONGEST_DELAY, Math.floor(idleTimeout / 2_000))) * 1_000
}

/** How often the application must send data on a path without probes, ms: as often as the kernel would probe. */
export function sendEveryFor(idleTimeout: number, detectWithin?: number): number {
  return timingFor(idleTimeout, detectWithin).initialDelay
}

/**
 * The userTimeout on a path without probes, ms, if data is sent every `initialDelay`: the rest of the allowed time. The kernel starts to count
 * it at the first retransmission.
 */
export function userTimeoutWithoutProbes(
  { initialDelay, interval, count }: Timing,
  detectWithin = Number.POSITIVE_INFINITY,
): number {
  const left = Math.floor(Math.max(FASTEST_DETECTION, detectWithin)) - initialDelay - FIRST_RETRANSMISSION
  return Math.min(interval * count, left)
}

/**
 * Three probes if they fit. Half of the allowed time passes before the first probe, unless the path needs it earlier. The other half is for
 * the probes.
 */
export function timingFor(idleTimeout: number, detectWithin = Number.POSITIVE_INFINITY): Timing {
  const latest = latestProbe(idleTimeout) / 1_000
  const allowed = Math.max(FASTEST_DETECTION, detectWithin)
  const within = Math.floor(allowed / 1_000)
  const count = Math.min(3, within - 1)
  const interval = Math.max(1, Math.min(Math.round(within / 6), Math.floor(latest / 3)))
  const initialDelay = Math.min(latest, within - count * interval)
  return { initialDelay: initialDelay * 1_000, interval: interval * 1_000, count }
}
