import { OutOfRangeError } from '../errors.js'
import { type PresetName, profileOf } from './presets.js'
import { checkProfile, type Profile } from './profile.js'

/** How long a dead peer goes unnoticed, in ms. `Infinity`: for ever. */
export interface DetectionTime {
  /** Nothing in flight: found by keepalive probes. */
  readonly idle: number
  /** Data sent and not acknowledged: found by retransmissions. */
  readonly inFlight: number
}

/** The kernel's own values where a profile leaves a field out: sysctl net.ipv4.tcp_*, see tcp(7). */
export const systemDefaults = {
  enable: false,
  initialDelay: 7_200_000,
  interval: 75_000,
  count: 9,
  userTimeout: 0,
  rtoMax: 120_000,
}

/** tcp_retries2: how many retransmissions the kernel allows for, by default. */
const RETRIES2 = 15
/** TCP_RTO_MIN: the least retransmission timeout, and what the kernel models tcp_retries2 with. */
const RTO_MIN = 200

/**
 * How long the kernel takes to notice that a peer is gone, by its own arithmetic. It is never earlier; later
 * by the slack of the kernel's timers, up to an eighth.
 *
 * - `idle`: `initialDelay + interval × count`; with a `userTimeout` the first probe's time at or after that, `count`
 *   being ignored then.
 * - `inFlight`: `userTimeout`, counted from the first retransmission by timeout; without it the time that
 *   `tcp_retries2` (15) allows, about 15 minutes, less with `rtoMax`; the timer that ends it can be up to one `rtoMax` later.
 *
 * Fields left out count as the system's defaults (keepalive off, 7200 s, 75 s, 9).
 *
 * @param options.rtt round-trip time of the path in ms, default 0: it delays the first retransmission.
 * @throws as {@link defineProfile} does; {@link OutOfRangeError} for an `rtt` that is no time.
 * @example
 * ```ts
 * detectionTime('cloud') // { idle: 60_000, inFlight: 60_400 }
 * ```
 */
export function detectionTime(profile: Profile | PresetName, options: { rtt?: number } = {}): DetectionTime {
  const { rtt = 0 } = options
  if (!Number.isFinite(rtt) || rtt < 0) {
    throw new OutOfRangeError(`rtt is ${rtt}; it must be a number of ms from 0.`, { field: 'rtt' })
  }
  const settings = { ...systemDefaults, ...checkProfile(profileOf(profile)) }
  return { idle: idleDetection(settings), inFlight: inFlightDetection(settings, rtt) }
}

function idleDetection({
  enable,
  initialDelay,
  interval,
  count,
  userTimeout,
}: typeof systemDefaults): number {
  if (!enable) return Number.POSITIVE_INFINITY
  return (
    initialDelay + interval * (userTimeout > 0 ? probesUntil(userTimeout, initialDelay, interval) : count)
  )
}

/** With a user timeout the kernel gives up at the first firing at or after it that has a probe unanswered. */
export function probesUntil(userTimeout: number, initialDelay: number, interval: number): number {
  return Math.max(1, Math.ceil((userTimeout - initialDelay) / interval))
}

/** `rtt` in ms. */
export function inFlightDetection({ userTimeout, rtoMax }: typeof systemDefaults, rtt: number): number {
  // A tail loss probe goes first, then the retransmission that starts the clock (RFC 8985, tcp_write_timeout).
  const firstRetransmission = 2 * (RTO_MIN + rtt)
  return firstRetransmission + (userTimeout > 0 ? userTimeout : retriesModel(rtoMax))
}

/** tcp_model_timeout(): doubling from RTO_MIN until rtoMax, then rtoMax each time. */
function retriesModel(rtoMax: number): number {
  const doublings = Math.min(RETRIES2, Math.floor(Math.log2(rtoMax / RTO_MIN)))
  return (2 ** (doublings + 1) - 1) * RTO_MIN + (RETRIES2 - doublings) * rtoMax
}
