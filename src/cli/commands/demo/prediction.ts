/**
 * The kernel counts from a time stamp in ticks, so a death can seem early by a tick:
 * 4 ms at HZ=250, 10 ms at HZ=100.
 */
const TICK = 10

/**
 * The kernel's timers fire up to an eighth late, never early. This process adds a delay: it samples 20 times a second and may have to wait for a
 * processor.
 */
export function latest(predicted: number): number {
  return predicted * 1.15 + 100
}

/** The ms by which a death was too late, or (negative) too early; 0 if it was as predicted. */
export function missedBy(predicted: number, actual: number): number {
  if (actual < predicted - TICK) return actual - predicted
  return Math.max(0, actual - latest(predicted))
}
