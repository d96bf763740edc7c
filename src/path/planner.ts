import {
  anything,
  checkOptions,
  finiteTime,
  type Options,
  object,
  refuseSeconds,
  whole,
} from '../options/check.js'
import { type DetectionTime, detectionTime } from '../profile/detection-time.js'
import type { Finding } from './finding.js'
import type { Hop } from './hop.js'
import { judgeHops, shortestMemory } from './hop-findings.js'
import { chain, type HttpTimeouts } from './http-chain.js'
import { inWords } from './in-words.js'
import { type Path, resolvePath } from './resolve.js'
import { FASTEST_DETECTION, FIRST_RETRANSMISSION, type Timing, timingFor } from './timing.js'

/** The arguments of {@link plan}. */
export interface PlanOptions {
  /** The hops from the client to the server: names of the catalogue, or hops of your own. */
  readonly path: Path
  /** How soon a dead peer must be detected, ms, idle or with data in flight. Default: as late as the path allows, to probe least. */
  readonly detectWithin?: number
  /** What is known about the traffic of the connections. Default: nothing. */
  readonly traffic?: Traffic
  /** How many connections there will be, for `load`. */
  readonly connections?: number
}

/** What is known about the traffic of the connections. */
export interface Traffic {
  /** The peer sends data at least this often, ms. If that is less than `initialDelay`, no probe is ever sent. */
  readonly every?: number
  /** A live peer may read nothing for this long while data waits for it, ms. A `userTimeout` of this time or less would end it. */
  readonly stall?: number
}

/** The probes of all connections together, while all are idle and every peer is alive. */
export interface ProbeLoad {
  /** How many connections. */
  readonly connections: number
  /** Probes sent in a second, by all of them. */
  readonly probesPerSecond: number
  /** Both directions. A probe and its answer are 86 bytes of Ethernet each over IPv6, which is assumed here; 66 over IPv4. */
  readonly bitsPerSecond: number
}

/** The settings for a path. */
export interface Plan {
  /** The hops from the client to the server, complete. */
  readonly path: readonly Hop[]
  /** For `tune`. */
  readonly profile: Readonly<Timing & { enable: true; userTimeout: number }>
  /** `detectionTime(profile)`. */
  readonly detection: DetectionTime
  /** Of one idle connection whose peer is alive. */
  readonly probesPerHour: number
  /** The probes of all connections. Present if `connections` was given. */
  readonly load?: ProbeLoad
  /** For `watch`, if the kernel by itself is too slow or has time for too few probes. */
  readonly heartbeat?: { readonly every: number; readonly timeout: number; readonly attempts: number }
  /** The keep-alive timeouts that follow along the HTTP hops, ms. */
  readonly http: HttpTimeouts
  /** Each names the hop and the number. */
  readonly warnings: readonly Finding[]
}

/** Ethernet, IPv6, and TCP with timestamps, twice. */
const BITS_PER_PROBE = 2 * (14 + 40 + 32) * 8

/**
 * Computes the settings for a path. Pure: it reads nothing but its arguments.
 *
 * - `initialDelay` is half of the shortest idle timeout at layer 4, or less, so that a probe, and one more if that is lost,
 *   pass in time.
 * - `interval` and `count`: three probes if `detectWithin` leaves time for them.
 * - `userTimeout`: `initialDelay + interval × count`, less the time before the kernel starts to count it if
 *   `detectWithin` leaves no time for that.
 *
 * The kernel's timers are late by up to an eighth, as in {@link detectionTime}.
 *
 * @throws {@link InvalidTypeError} for an unknown hop (similar names are suggested); {@link OutOfRangeError} for a time that is out of
 * range.
 * @example
 * ```ts
 * const { profile, http, warnings } = plan({ path: ['aws-nlb', 'linux-conntrack'], detectWithin: 30_000 })
 * tune(socket, profile) // { initialDelay: 15_000, interval: 5_000, count: 3, userTimeout: 29_600, enable: true }
 * ```
 */
export function plan(options: PlanOptions): Plan {
  const { path, detectWithin, traffic, connections } = check(options)
  const timing = timingFor(shortestMemory(path), detectWithin)
  const userTimeout = userTimeoutFor(timing, detectWithin, traffic)
  const profile = Object.freeze({ enable: true as const, ...timing, userTimeout })
  const probesPerHour =
    (traffic.every ?? Number.POSITIVE_INFINITY) < timing.initialDelay ? 0 : 3_600_000 / timing.initialDelay
  const { http, findings } = chain(path)
  const heartbeat = heartbeatFor(timing, detectWithin)
  return {
    path,
    profile,
    detection: detectionTime(profile),
    probesPerHour,
    ...(connections !== undefined && { load: loadOf(connections, probesPerHour) }),
    ...(heartbeat && { heartbeat }),
    http,
    warnings: [
      ...judgeDetection(timing, detectWithin, heartbeat),
      ...judgeStall(timing, traffic),
      ...judgeHops(path, timing),
      ...findings,
    ],
  }
}

function userTimeoutFor(timing: Timing, detectWithin: number | undefined, { stall = 0 }: Traffic): number {
  const allowed = Math.floor(detectWithin ?? Number.POSITIVE_INFINITY)
  const matching = Math.min(deathOf(timing), allowed - FIRST_RETRANSMISSION)
  const userTimeout = Math.max(matching, deathOf(timing) - FIRST_RETRANSMISSION)
  return userTimeout > stall ? userTimeout : 0
}

function deathOf({ initialDelay, interval, count }: Timing): number {
  return initialDelay + interval * count
}

/** Attempts are 510 ms apart, each has 300 ms, and a peer that was heard within the last second is not probed. */
const FIRST_PROBE = 1_000
const BETWEEN_ATTEMPTS = 510
const ANSWER = 300
/** For the lateness of this process's timers and events. */
const OWN_DELAY = 100

function heartbeatFor({ count }: Timing, detectWithin: number | undefined): Plan['heartbeat'] {
  if (detectWithin === undefined || (count >= 3 && detectWithin >= FASTEST_DETECTION)) return undefined
  const allowed = Math.floor(detectWithin) - OWN_DELAY
  const room = allowed - FIRST_PROBE - ANSWER
  if (room < 0) return undefined
  const attempts = Math.min(3, 1 + Math.floor(room / BETWEEN_ATTEMPTS))
  const every = allowed - ANSWER - (attempts - 1) * BETWEEN_ATTEMPTS
  return { every: Math.floor(every / 1_000) * 1_000, timeout: ANSWER, attempts }
}

function judgeDetection(
  timing: Timing,
  detectWithin: number | undefined,
  heartbeat: Plan['heartbeat'],
): Finding[] {
  if (detectWithin === undefined) return []
  const instead = heartbeat
    ? `A heartbeat can: watch({ heartbeat: { every: ${heartbeat.every}, timeout: ${heartbeat.timeout}, attempts: ${heartbeat.attempts} } }).`
    : "Have the application's own protocol ask."
  if (detectWithin < FASTEST_DETECTION) {
    const message = `The kernel cannot notice a dead peer within ${inWords(detectWithin)}: it counts in whole seconds, and takes ${inWords(FASTEST_DETECTION)} at least.`
    return [{ severity: 'error', code: 'detection-too-fast', message, change: instead }]
  }
  if (timing.count >= 3) return []
  const probes = timing.count === 1 ? 'a single probe' : `${timing.count} probes`
  const message = `Within ${inWords(detectWithin)} the kernel has time for ${probes}: a loss of ${inWords(timing.count * timing.interval)} ends a connection whose peer is alive.`
  const change =
    heartbeat && heartbeat.attempts > timing.count ? instead : 'Allow 4 s, which is three probes.'
  return [{ severity: 'warning', code: 'few-probes', message, change }]
}

function judgeStall(timing: Timing, { stall }: Traffic): Finding[] {
  if (stall === undefined || userTimeoutFor(timing, undefined, { stall }) > 0) return []
  const { inFlight } = detectionTime({ userTimeout: 0 })
  const message = `A peer that is alive may read nothing for ${inWords(stall)}, and a userTimeout of ${inWords(deathOf(timing))} would end it. So there is none, and a death with data in flight is noticed after ${inWords(inFlight)}.`
  const change = 'On Linux 6.15 or newer add rtoMax: 1_000, which makes that 14.8 s and ends no reader.'
  return [{ severity: 'warning', code: 'slow-reader', message, change }]
}

function loadOf(connections: number, probesPerHour: number): ProbeLoad {
  const probesPerSecond = (connections * probesPerHour) / 3_600
  return { connections, probesPerSecond, bitsPerSecond: probesPerSecond * BITS_PER_PROBE }
}

const traffic: Omit<Options<Traffic>, 'field' | 'called'> = {
  of: '`traffic`',
  example: '{ every: 10_000 }',
  checks: { every: finiteTime, stall: finiteTime },
}

const planOptions: Options<PlanOptions> = {
  of: 'plan()',
  example: "{ path: ['aws-nlb'] }",
  checks: {
    path: anything,
    detectWithin: (value, field) => {
      finiteTime(value, field)
      refuseSeconds(value, field, 'The kernel needs 2 s, a heartbeat 1.4 s.', { field })
    },
    traffic: object(traffic),
    connections: whole({ min: 1 }),
  },
  otherNames: { hop: 'path', hops: 'path', every: 'traffic', stall: 'traffic' },
}

function check(options: PlanOptions): {
  path: Hop[]
  detectWithin: number | undefined
  traffic: Traffic
  connections: number | undefined
} {
  const { path, detectWithin, traffic = {}, connections } = checkOptions(options, planOptions)
  return { path: resolvePath(path), detectWithin, traffic, connections }
}
