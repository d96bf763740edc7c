import { defaultNames, type SystemDefaults } from '../kernel/defaults.js'
import { type Check, checkOptions, number, type Options, object } from '../options/check.js'
import { type PresetName, profileOf } from './presets.js'
import { checkProfile, defaultsBehind, type Profile } from './profile.js'

/** How long a dead peer goes unnoticed, in ms. `Infinity`: for ever. */
export interface DetectionTime {
  /** Nothing in flight: found by keepalive probes. */
  readonly idle: number
  /** Data sent and not acknowledged: found by retransmissions. */
  readonly inFlight: number
}

/** What {@link detectionTime} counts with beside the profile. */
export interface DetectionTimeOptions {
  /** Round-trip time of the path in ms, from 0. It delays the first retransmission. Default: 0. */
  rtt?: number
  /**
   * The sysctls of the network namespace that the connection is in, as `readDefaults()` or `inspect(socket).defaults` has them. They
   * decide where the profile leaves a field out, and `retries2` (`tcp_retries2`) decides with data in flight. Default: those behind a
   * profile that {@link inspect} read, or else those of a kernel left as it is.
   */
  defaults?: Partial<SystemDefaults> | undefined
}

/** A profile without gaps, and what of the system decides beside it. Times in ms. */
export interface Settings {
  readonly enable: boolean
  readonly initialDelay: number
  readonly interval: number
  readonly count: number
  readonly userTimeout: number
  readonly synCount: number
  readonly rtoMax: number
  /** `tcp_retries2`: retransmissions that the time allowed for data in flight is modelled on. */
  readonly retries2: number
  /** The least retransmission timeout. */
  readonly rtoMin: number
  /** `tcp_syn_linear_timeouts`: how many waits of a connection attempt do not double. */
  readonly synLinearTimeouts: number
}

/** The values of a kernel left as it is: sysctl net.ipv4.tcp_*, tcp(7). */
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

/** TCP_RTO_MIN: what the kernel models `tcp_retries2` with, whatever the connection's own timeout is. */
const MODEL_RTO = 200

/** TCP_TIMEOUT_INIT: what a SYN waits for its answer. */
const SYN_RTO = 1_000

/**
 * How long the kernel takes to notice that a peer is gone, by its own arithmetic. It is never earlier; later
 * by the slack of the kernel's timers, up to an eighth.
 *
 * - `idle`: `initialDelay + interval × count`; with a `userTimeout` the first probe's time at or after that, `count`
 *   being ignored then.
 * - `inFlight`: `userTimeout`, counted from the first retransmission by timeout. Without it the time that `tcp_retries2` allows: about
 *   15 minutes for 15, 13 s for 5, less with `rtoMax`. The kernel checks that time at its retransmissions only, so it ends the connection
 *   up to as long again afterwards, one `rtoMax` at the most.
 *
 * Fields left out count as the system's defaults (keepalive off, 7200 s, 75 s, 9, `tcp_retries2` 15) unless `defaults` says otherwise.
 * For a live connection pass the profile that `inspect(socket)` read: it counts with the sysctls of the connection's own network
 * namespace. Where those cannot be read, `inspect(socket).defaults` is `undefined`, and a kernel left as it is counts.
 *
 * @throws as {@link defineProfile} does; {@link OutOfRangeError} for an `rtt` that is no time, or a default that is no number from 0.
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

/** A profile completed by the defaults of its system, where these are known. */
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

function definedOnly<T extends object>(values: T): { [Name in keyof T]?: NonNullable<T[Name]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T
}

function idleDetection({ enable, initialDelay, interval, count, userTimeout }: Settings): number {
  if (!enable) return Number.POSITIVE_INFINITY
  return (
    initialDelay + interval * (userTimeout > 0 ? probesUntil(userTimeout, initialDelay, interval) : count)
  )
}

/** With a user timeout the kernel gives up at the first firing at or after it that has a probe unanswered. */
export function probesUntil(userTimeout: number, initialDelay: number, interval: number): number {
  return Math.max(1, Math.ceil((userTimeout - initialDelay) / interval))
}

function inFlightDetection(settings: Settings, rtt: number): number {
  const { userTimeout, rtoMax, retries2 } = settings
  const allowed = userTimeout > 0 ? userTimeout : modelTimeout(retries2, MODEL_RTO, rtoMax)
  return firstRetransmission(settings, rtt) + allowed
}

/** How far a connection with data in flight has come. */
export interface Retransmitting {
  /** Its retransmission timeout before it was doubled, ms; `undefined` where that cannot be told. */
  readonly rto: number | undefined
  /** Retransmissions by timeout so far, each after twice the wait of the one before. */
  readonly resent: number
}

/** The most that a connection with data in flight can have left, ms, but for the slack of the kernel's timers. */
export function inFlightAtMost(settings: Settings, rtt: number, { rto, resent }: Retransmitting): number {
  const { userTimeout, rtoMax, retries2 } = settings
  const first = firstRetransmission(settings, rtt)
  const waits = doubling(2 * (rto ?? rtoMax), rtoMax)
  const passed = resent === 0 ? 0 : first + (rto === undefined ? 0 : sum(resent - 1, waits))
  // The kernel cuts its waits short to give up at a user timeout.
  if (userTimeout > 0) return Math.max(0, first + userTimeout - passed)
  const allowed = modelTimeout(retries2, MODEL_RTO, rtoMax)
  if (rto === undefined) return first + allowed + rtoMax - passed
  const retransmitting = firstExpiry(allowed, waits)
  // A closed window is probed as often as retries2 says.
  const probing = resent === 0 ? sum(retries2 + 1, doubling(rto, rtoMax)) : 0
  return Math.max(0, first + Math.max(retransmitting, probing) - passed)
}

/**
 * When the kernel gives a connection attempt up that nobody answers, counted from the first SYN: at the first of its expiries at which the
 * time that `synCount` allows, 2^(n+1) − 1 s, or the user timeout, has passed.
 *
 * @param resent SYNs sent again so far.
 * @returns that, and when the last SYN was sent and the next expiry is due.
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
  // The waits are cut short so that one ends at the user timeout, but for the first.
  return { ends: Math.min(byCount, Math.max(SYN_RTO, userTimeout)), sent, due }
}

/** A tail loss probe goes first, then the retransmission that starts the clock (RFC 8985, tcp_write_timeout). */
function firstRetransmission({ rtoMin }: Settings, rtt: number): number {
  return 2 * (rtoMin + rtt)
}

/** tcp_model_timeout(): doubling from `rto` until `rtoMax`, then `rtoMax` each time. */
function modelTimeout(retries: number, rto: number, rtoMax: number): number {
  const doublings = Math.min(retries, Math.floor(Math.log2(rtoMax / rto)))
  return (2 ** (doublings + 1) - 1) * rto + (retries - doublings) * rtoMax
}

/** The waits from one expiry to the next: `linear` more of the first, then twice as long each time, up to `rtoMax`. */
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
