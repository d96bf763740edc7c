import type { Keepalive, Sample } from '../kernel/liveness.js'

/** Where a connection's keepalive timer would stand without our probes. Pure functions, times in ms. */
export interface KeepaliveClock {
  /** When its next probe is due, counted from when the peer was last heard. */
  readonly due: number
  /**
   * The `initialDelay` that sets the timer to that probe: rounded up to whole seconds, so never sooner. If the probe is due at once or the
   * timer is set already, a value that does not move the timer.
   */
  readonly initialDelay: number
  /** Probes that it has sent already, unanswered. */
  readonly sent: number
}

/** The kernel's largest TCP_KEEPIDLE and TCP_KEEPINTVL. */
export const SECONDS_MAX = 32_767_000

/** Two readings of the kernel's clocks differ by up to two ticks, in ms. */
const CLOCK_DIFFERENCE = 20

/** The clock of a connection whose timer stands where TCP_KEEPIDLE sets it. */
export function clockFrom({ initialDelay }: Keepalive): KeepaliveClock {
  return { due: initialDelay, initialDelay, sent: 0 }
}

/** The same, `silence` ms after the peer was last heard: with the probes that were due by then. */
export function clockAfter(own: Keepalive, silence: number): KeepaliveClock {
  const { initialDelay, interval } = own
  if (silence < initialDelay) return clockFrom(own)
  const sent = Math.floor((silence - initialDelay) / interval) + 1
  const due = initialDelay + sent * interval
  return { due, initialDelay: Math.min(SECONDS_MAX, wholeSeconds(due)), sent }
}

/**
 * The clock as the kernel's timer shows it.
 *
 * The next probe is due after `initialDelay` of silence, with two exceptions. An answer does not move a timer that stands at `interval` since
 * the last probe. Keepalive that is switched on late starts a whole `initialDelay` then. No option tells, so the timer itself has to be
 * read.
 *
 * @param dueIn in how many ms the timer fires; `undefined` if the kernel does not tell.
 */
export function clockFromTimer(sample: Sample, own: Keepalive, dueIn: number | undefined): KeepaliveClock {
  const { enable, initialDelay, interval } = own
  if (!enable) return clockFrom(own)
  const silence = sample.sampledAt - sample.heardAt
  // If the kernel does not tell: it is no later than this.
  const wait = dueIn ?? Math.max(initialDelay, interval)
  const due = Math.max(initialDelay, silence + wait - CLOCK_DIFFERENCE)
  return { due, initialDelay: Math.min(SECONDS_MAX, wholeSeconds(due)), sent: 0 }
}

/**
 * The clock after this process was stopped while it made the kernel probe: in that time the timer has fired, at the interval that
 * `whileFiring` (plan.ts) has set.
 *
 * @param times how often it fired.
 * @param dueIn in how many ms it fires next; `undefined` if the kernel does not tell: then the timer is left as it is.
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

/** Rounded up: never sooner. */
export function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000) * 1000
}
