import type { Keepalive, Sample } from '../kernel/liveness.js'

/** When a connection's keepalive timer would fire without our probes. Pure functions, times in ms. */
export interface KeepaliveClock {
  /** When its next probe is due, counted from when the peer was last heard. */
  readonly due: number
  /**
   * The `initialDelay` that sets the timer to that time, rounded up to whole seconds. If the probe is due now or the timer is set already, it is a
   * value that does not move the timer.
   */
  readonly initialDelay: number
  /** The number of unanswered probes that the timer has sent. */
  readonly sent: number
}

/** The kernel's largest TCP_KEEPIDLE and TCP_KEEPINTVL. */
export const SECONDS_MAX = 32_767_000

/** Two readings of the kernel's clocks differ by up to two ticks, in ms. */
const CLOCK_DIFFERENCE = 20

/** The clock of a connection whose timer is set by TCP_KEEPIDLE. */
export function clockFrom({ initialDelay }: Keepalive): KeepaliveClock {
  return { due: initialDelay, initialDelay, sent: 0 }
}

/** The same clock `silence` ms after the peer was last heard. It counts the probes that were due by then. */
export function clockAfter(own: Keepalive, silence: number): KeepaliveClock {
  const { initialDelay, interval } = own
  if (silence < initialDelay) return clockFrom(own)
  const sent = Math.floor((silence - initialDelay) / interval) + 1
  const due = initialDelay + sent * interval
  return { due, initialDelay: Math.min(SECONDS_MAX, wholeSeconds(due)), sent }
}

/**
 * The clock from a reading of the kernel's timer.
 *
 * The next probe is due `initialDelay` after the last segment, with two exceptions. After a probe the timer is set to `interval`, and an answer
 * does not move it. Keepalive that is switched on late starts a whole `initialDelay` at that time. The options do not show either case, so the
 * timer must be read.
 *
 * @param dueIn ms until the timer fires; `undefined` if the kernel does not report it.
 */
export function clockFromTimer(sample: Sample, own: Keepalive, dueIn: number | undefined): KeepaliveClock {
  const { enable, initialDelay, interval } = own
  if (!enable) return clockFrom(own)
  const silence = sample.sampledAt - sample.heardAt
  // Without a reading, assume the latest possible time.
  const wait = dueIn ?? Math.max(initialDelay, interval)
  const due = Math.max(initialDelay, silence + wait - CLOCK_DIFFERENCE)
  return { due, initialDelay: Math.min(SECONDS_MAX, wholeSeconds(due)), sent: 0 }
}

/**
 * The clock after this process was stopped while it made the kernel probe. Meanwhile the timer has fired at the interval that `whileFiring`
 * (plan.ts) has set.
 *
 * @param times how often the timer fired.
 * @param dueIn ms until it fires next; `undefined` if the kernel does not report it, and then the timer is not moved.
 */
export function clockAfterStop(
  clock: KeepaliveClock,
  own: Keepalive,
  inForce: Keepalive,
  times: number,
  silence: number,
  dueIn: number | undefined,
): KeepaliveClock {
  const sent = clock.sent + times
  if (dueIn === undefined) return { ...clock, initialDelay: inForce.initialDelay, sent }
  const next = silence + Math.max(0, dueIn - (inForce.interval - own.interval))
  return { ...clock, initialDelay: Math.min(SECONDS_MAX, wholeSeconds(next)), sent }
}

/** Rounds up to whole seconds, so that the timer never fires too soon. */
export function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000) * 1000
}
