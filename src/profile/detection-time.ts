import { defaultNames, type SystemDefaults } from '../kernel/defaults.js'
import { type Check, checkOptions, number, type Options, object } from '../options/check.js'
import { type PresetName, profileOf } from './presets.js'
import { checkProfile, defaultsBehind, type Profile } from './profile.js'

/** The time until the kernel detects a dead peer, in ms. `Infinity`: never. */
export interface DetectionTime {
  /** On an idle connection: keepalive probes detect it. */
  readonly idle: number
  /** With unacknowledged data: retransmissions detect it. */
  readonly inFlight: number
}

/** The arguments of {@link detectionTime} beside the profile. */
export interface DetectionTimeOptions {
  /** Round-trip time of the path in ms, from 0. A longer one delays the first retransmission. Default: 0. */
  rtt?: number
  /**
   * The sysctls of the connection's network namespace, from `readDefaults()` or `inspect(socket).defaults`. They apply to the fields that the
   * profile leaves out. `retries2` (`tcp_retries2`) applies with data in flight. Default: those of the system that {@link inspect} read the
   * profile from; for any other profile, the kernel's defaults.
   */
  defaults?: Partial<SystemDefaults> | undefined
}

/** A complete profile, and the sysctls that also matter. Times in ms. */
export interface Settings {
  readonly enable: boolean
  readonly initialDelay: number
  readonly interval: number
  readonly count: number
  readonly userTimeout: number
  readonly synCount: number
  readonly rtoMax: number
  /** `tcp_retries2`: the number of retransmissions from which the kernel computes how long data may be in flight. */
  readonly retries2: number
  /** The minimum retransmission timeout. */
  readonly rtoMin: number
  /** `tcp_syn_linear_timeouts`: how many waits of a connection attempt are not doubled. */
  readonly synLinearTimeouts: number
}

/** The kernel's defaults: sysctl net.ipv4.tcp_*, tcp(7). */
export const systemDefaults: Settings = {
  enable: false,
  initialDelay: 7_200_000,
  interval: 75_000,
  count: 9,
  userTimeout: 0,
  synCount: 6,
  rtoMax: 120_000,
  retries2: 15,
  rtoMin: 200,
  synLinearTimeouts: 4,
}

/** TCP_RTO_MIN. The kernel computes the time for `tcp_retries2` from it, not from the connection's own timeout. */
const MODEL_RTO = 200

/** TCP_TIMEOUT_INIT: the wait after the first SYN. */
const SYN_RTO = 1_000

/**
 * Computes how long the kernel takes to detect that a peer is gone. The kernel never detects it earlier. Its timers may fire late, by an eighth at
 * most.
 *
 * - `idle`: `initialDelay + interval × count`. With a `userTimeout`, the kernel ignores `count`. It ends the connection when a probe is
 *   next due at or after `userTimeout`.
 * - `inFlight`: `userTimeout`, counted from the first retransmission by timeout. Without it, the time that `tcp_retries2` allows: about
 *   15 minutes for 15, 13 s for 5, less with `rtoMax`. The kernel checks that time at its retransmissions only. So it ends the connection
 *   up to twice as late, but at most one `rtoMax` later.
 *
 * For a field that is left out, the system's default applies: keepalive off, 7200 s, 75 s, 9, `tcp_retries2` 15, or the values of `defaults`.
 * For a live connection, pass `inspect(socket).profile`: then the sysctls of the connection's own network namespace apply. If those cannot
 * be read, `inspect(socket).defaults` is `undefined`, and the kernel's defaults apply.
 *
 * @throws as {@link defineProfile}; {@link OutOfRangeError} for an `rtt` or a default that is not a number, 0 or greater.
 * @example
 * ```ts
 * detectionTime('cloud') // { idle: 60_000, inFlight: 60_400 }
 * detectionTime('patient', { defaults: readDefaults() }) // { idle: 180_000, inFlight: 13_000 } where tcp_retries2 is 5
 * detectionTime(inspect(socket).profile)
 * ```
 */
export function detectionTime(
  profile: Profile | PresetName,
  options: DetectionTimeOptions = {},
): DetectionTime {
  const { rtt = 0, defaults } = checkOptions(options, detectionOptions)
  const given = profileOf(profile)
  const settings = settingsOf(checkProfile(given), defaults ?? defaultsBehind(given))
  return { idle: idleDetection(settings), inFlight: inFlightDetection(settings, rtt) }
}

/** Completes a profile with the defaults of its system, or with the kernel's if those are not known. */
export function settingsOf(profile: Profile, defaults: Partial<SystemDefaults> = {}): Settings {
  return { ...systemDefaults, ...definedOnly(defaults), ...definedOnly(profile) }
}

const fromZero = number({ min: 0 })

const detectionOptions: Options<DetectionTimeOptions> = {
  of: 'detectionTime()',
  example: '{ rtt: 50 }',
  checks: {
    rtt: fromZero,
    defaults: object<SystemDefaults>({
      of: 'a system, as readDefaults() returns them',
      noun: 'default',
      example: '{ retries2: 5 }',
      checks: Object.fromEntries(defaultNames.map((name) => [name, fromZero])) as Record<
        keyof SystemDefaults,
        Check
      >,
    }),
  },
}

export function definedOnly<T extends object>(values: T): { [Name in keyof T]?: NonNullable<T[Name]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T
}

function idleDetection({ enable, initialDelay, interval, count, userTimeout }: Settings): number {
  if (!enable) return Number.POSITIVE_INFINITY
  return (
    initialDelay + interval * (userTimeout > 0 ? probesUntil(userTimeout, initialDelay, interval) : count)
  )
}

/**
 * The unanswered probes before the kernel ends an idle connection with a user timeout. It does so when its timer first fires at or after that
 * time, with at least one unanswered probe.
 */
export function probesUntil(userTimeout: number, initialDelay: number, interval: number): number {
  return Math.max(1, Math.ceil((userTimeout - initialDelay) / interval))
}

function inFlightDetection(settings: Settings, rtt: number): number {
  const { userTimeout, rtoMax, retries2 } = settings
  const allowed = userTimeout > 0 ? userTimeout : modelTimeout(retries2, MODEL_RTO, rtoMax)
  return firstRetransmission(settings, rtt) + allowed
}

/** The retransmissions of a connection with data in flight. */
export interface Retransmitting {
  /** The retransmission timeout before the first doubling, ms. `undefined`: not known. */
  readonly rto: number | undefined
  /** Retransmissions by timeout so far. Each waits twice as long as the previous one. */
  readonly resent: number
}

/** The longest time until the kernel ends a connection with data in flight, ms, without the slack of its timers. */
export function inFlightAtMost(settings: Settings, rtt: number, { rto, resent }: Retransmitting): number {
  const { userTimeout, rtoMax, retries2 } = settings
  const first = firstRetransmission(settings, rtt)
  const waits = doubling(2 * (rto ?? rtoMax), rtoMax)
  const passed = resent === 0 ? 0 : first + (rto === undefined ? 0 : sum(resent - 1, waits))
  // The kernel shortens its last wait so that it ends at the user timeout.
  if (userTimeout > 0) return Math.max(0, first + userTimeout - passed)
  const allowed = modelTimeout(retries2, MODEL_RTO, rtoMax)
  if (rto === undefined) return first + allowed + rtoMax - passed
  const retransmitting = firstExpiry(allowed, waits)
  // The kernel probes a closed window retries2 times.
  const probing = resent === 0 ? sum(retries2 + 1, doubling(rto, rtoMax)) : 0
  return Math.max(0, first + Math.max(retransmitting, probing) - passed)
}

/**
 * When the kernel ends a connection attempt that the peer does not answer, in ms after the first SYN. That is when its timer first expires
 * after the time that `synCount` allows, 2^(n+1) − 1 s, or after the user timeout.
 *
 * @param resent SYNs retransmitted so far.
 * @returns that time (`ends`), when the last SYN was sent (`sent`), and when the timer expires next (`due`).
 */
export function connectDetection(
  { synCount, synLinearTimeouts, rtoMax, userTimeout }: Settings,
  resent: number,
): { readonly ends: number; readonly sent: number; readonly due: number } {
  const waits = doubling(SYN_RTO, rtoMax, synLinearTimeouts)
  const allowed = modelTimeout(synCount, SYN_RTO, rtoMax)
  const byCount = Math.min(sum(synCount + synLinearTimeouts + 1, waits), firstExpiry(allowed, waits))
  const sent = sum(resent, waits)
  const due = sum(resent + 1, waits)
  if (userTimeout === 0) return { ends: byCount, sent, due }
  // The kernel shortens a wait, except the first, so that it ends at the user timeout.
  return { ends: Math.min(byCount, Math.max(SYN_RTO, userTimeout)), sent, due }
}

/** The kernel sends a tail loss probe first, then the retransmission from which it counts (RFC 8985, tcp_write_timeout). */
function firstRetransmission({ rtoMin }: Settings, rtt: number): number {
  return 2 * (rtoMin + rtt)
}

/** tcp_model_timeout(): doubling from `rto` until `rtoMax`, then `rtoMax` each time. */
function modelTimeout(retries: number, rto: number, rtoMax: number): number {
  const doublings = Math.min(retries, Math.floor(Math.log2(rtoMax / rto)))
  return (2 ** (doublings + 1) - 1) * rto + (retries - doublings) * rtoMax
}

/** The waits from one expiry to the next: `first`, `linear` times the same again, then twice as long each time, up to `rtoMax`. */
function doubling(first: number, rtoMax: number, linear = 0): (i: number) => number {
  return (i) => Math.min(rtoMax, first * 2 ** Math.max(0, i - linear))
}

function sum(count: number, wait: (i: number) => number): number {
  let total = 0
  for (let i = 0; i < count; i++) total += wait(i)
  return total
}

function firstExpiry(allowed: number, wait: (i: number) => number): number {
  let total = 0
  for (let i = 0; total < allowed; i++) total += wait(i)
  return total
}
