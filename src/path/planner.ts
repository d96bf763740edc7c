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
import { deafHopOf, judgeDeafHops, judgeHops, shortestMemory } from './hop-findings.js'
import { chain, type HttpTimeouts } from './http-chain.js'
import { inWords } from './in-words.js'
import { type Path, resolvePath } from './resolve.js'
import {
  FASTEST_DETECTION,
  FIRST_RETRANSMISSION,
  type Timing,
  timingFor,
  userTimeoutWithoutProbes,
} from './timing.js'

/** The options of {@link plan}. */
export interface PlanOptions {
  /** The hops from the client to the server: names of the catalogue, or hops of your own. */
  readonly path: Path
  /** Detect a dead peer within this time, in ms, idle or with data in flight. Default: as late as the path allows, with the fewest probes. */
  readonly detectWithin?: number
  /** The known traffic of the connections. Default: none is known. */
  readonly traffic?: Traffic
  /** The number of connections, for `load`. From 1. */
  readonly connections?: number
}

/** What is known about the traffic of the connections. */
export interface Traffic {
  /** The peer sends data at least this often, in ms. If that is less than `initialDelay`, the kernel never probes. */
  readonly every?: number
  /** A live peer may read nothing for this long while data waits for it, in ms. A `userTimeout` of this time or less would end its connection. */
  readonly stall?: number
}

/** The probes of all connections together, if all are idle and every peer is alive. */
export interface ProbeLoad {
  /** The number of connections. */
  readonly connections: number
  /** Probes per second, of all connections. */
  readonly probesPerSecond: number
  /** In both directions. A probe and its ACK are 86 bytes of Ethernet each over IPv6, which this assumes; 66 over IPv4. */
  readonly bitsPerSecond: number
}

/** The profile of a {@link Plan}. */
export type PlannedProfile =
  | Readonly<Timing & { enable: true; userTimeout: number }>
  | Readonly<Partial<Timing> & { enable: false; userTimeout: number }>

/** The settings for a path. */
export interface Plan {
  /** The hops from the client to the server, complete. */
  readonly path: readonly Hop[]
  /** The profile to pass to `tune`. Keepalive is off if a hop does not acknowledge probes. */
  readonly profile: PlannedProfile
  /**
   * The application must send data at least this often, in ms. Only if a hop does not acknowledge probes. A dead peer is then detected within this time
   * and `detection.inFlight`.
   */
  readonly sendEvery?: number
  /** How long the kernel takes to detect a dead peer: `detectionTime(profile)`. */
  readonly detection: DetectionTime
  /** Probes per hour of one idle connection whose peer is alive. */
  readonly probesPerHour: number
  /** The load of the probes of all connections. Only with `connections`. */
  readonly load?: ProbeLoad
  /** The heartbeat to pass to `watch`, in ms. Only if the kernel alone is too slow or has time for fewer than three probes. */
  readonly heartbeat?: { readonly every: number; readonly timeout: number; readonly attempts: number }
  /** The keep-alive timeouts for the client, the server and the HTTP hops, ms. */
  readonly http: HttpTimeouts
  /** Problems of the path and of these settings, each with the hop and the numbers. */
  readonly warnings: readonly Finding[]
}

/** The headers of Ethernet, IPv6 and TCP with timestamps, for a probe and for its ACK. */
const BITS_PER_PROBE = 2 * (14 + 40 + 32) * 8

/**
 * Computes the settings for a path. Pure: it reads nothing but its arguments.
 *
 * - `initialDelay` is half of the shortest idle timeout at layer 4, or less. So the first probe is in time, and the second one if the
 *   first is lost.
 * - `interval` and `count`: three probes if `detectWithin` leaves time for them.
 * - `userTimeout`: `initialDelay + interval × count`. If `detectWithin` is too short for that, up to 400 ms less: the kernel starts to count
 *   it at the first retransmission. 0 if `traffic.stall` is as long or longer.
 *
 * If a hop of the path does not acknowledge all probes (`answersProbes`), `enable` is `false`: keepalive would end connections to live peers. A
 * `userTimeout` ends connections with data in flight, and idle ones only while keepalive is on. So the application must send data every
 * `sendEvery`, and `userTimeout` is `interval × count` of the profile that the path would have otherwise.
 *
 * The kernel's timers fire late by up to an eighth, as in {@link detectionTime}.
 *
 * @throws {@link InvalidTypeError} for an unknown hop, with similar names; {@link OutOfRangeError} for a time that is out of
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
  const isDeaf = deafHopOf(path) !== undefined
  const wanted = isDeaf
    ? userTimeoutWithoutProbes(timing, detectWithin)
    : userTimeoutFor(timing, detectWithin)
  const { stall = 0 } = traffic
  const userTimeout = wanted > stall ? wanted : 0
  const profile: PlannedProfile = Object.freeze(
    isDeaf ? { enable: false, userTimeout } : { enable: true, ...timing, userTimeout },
  )
  const sendsEnough = (traffic.every ?? Number.POSITIVE_INFINITY) < timing.initialDelay
  const probesPerHour = isDeaf || sendsEnough ? 0 : 3_600_000 / timing.initialDelay
  const { http, findings } = chain(path)
  const heartbeat = isDeaf ? undefined : heartbeatFor(timing, detectWithin)
  return {
    path,
    profile,
    ...(isDeaf && { sendEvery: timing.initialDelay }),
    detection: detectionTime(profile),
    probesPerHour,
    ...(connections !== undefined && { load: loadOf(connections, probesPerHour) }),
    ...(heartbeat && { heartbeat }),
    http,
    warnings: [
      ...(isDeaf
        ? judgeDetectionWithoutProbes(userTimeout, detectWithin)
        : judgeDetection(timing, detectWithin, heartbeat)),
      ...judgeStall(wanted, traffic),
      ...judgeDeafHops(path, timing.initialDelay),
      ...judgeHops(path, timing),
      ...findings,
    ],
  }
}

function userTimeoutFor(timing: Timing, detectWithin: number | undefined): number {
  const allowed = Math.floor(detectWithin ?? Number.POSITIVE_INFINITY)
  const matching = Math.min(idleDetection(timing), allowed - FIRST_RETRANSMISSION)
  return Math.max(matching, idleDetection(timing) - FIRST_RETRANSMISSION)
}

function idleDetection({ initialDelay, interval, count }: Timing): number {
  return initialDelay + interval * count
}

/** Times of a heartbeat, ms. It does not probe peers that were heard within the last second. Its attempts are 510 ms apart, and each waits 300 ms. */
const FIRST_PROBE = 1_000
const BETWEEN_ATTEMPTS = 510
const ANSWER = 300
/** Allowance for the delay of this process's timers and event loop, ms. */
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
    : 'Use a ping of the application protocol.'
  if (detectWithin < FASTEST_DETECTION) {
    const message = `The kernel cannot notice a dead peer within ${inWords(detectWithin)}: it counts in whole seconds and takes at least ${inWords(FASTEST_DETECTION)}.`
    return [{ severity: 'error', code: 'detection-too-fast', message, change: instead }]
  }
  if (timing.count >= 3) return []
  const probes = timing.count === 1 ? 'a single probe' : `${timing.count} probes`
  const message = `Within ${inWords(detectWithin)} the kernel has time for ${probes}. If the network loses packets for ${inWords(timing.count * timing.interval)}, connections to live peers end.`
  const change =
    heartbeat && heartbeat.attempts > timing.count
      ? instead
      : 'Set detectWithin to 4 s: that is enough for three probes.'
  return [{ severity: 'warning', code: 'few-probes', message, change }]
}

/** The shortest userTimeout without a warning, ms. A retransmission takes at least 200 ms. */
const SHORTEST_USUAL = 1_000

function judgeDetectionWithoutProbes(userTimeout: number, detectWithin: number | undefined): Finding[] {
  if (detectWithin === undefined || userTimeout >= SHORTEST_USUAL) return []
  const message = `To notice a dead peer within ${inWords(detectWithin)} without probes, data must be sent every second, and ${userTimeout === 0 ? 'no userTimeout is set' : `userTimeout is ${inWords(userTimeout)}`}. If the network loses packets for that long, connections to live peers end.`
  const severity = detectWithin < FASTEST_DETECTION ? 'error' : 'warning'
  return [{ severity, code: 'detection-too-fast', message, change: 'Set detectWithin to 4 s or more.' }]
}

function judgeStall(wanted: number, { stall }: Traffic): Finding[] {
  if (stall === undefined || wanted > stall) return []
  const { inFlight } = detectionTime({ userTimeout: 0 })
  const message = `A live peer may read nothing for ${inWords(stall)}, and a userTimeout of ${inWords(wanted)} would end its connection. So the plan sets none. With data in flight, the kernel takes ${inWords(inFlight)} to notice that the peer is gone.`
  const change =
    'On Linux 6.15 or newer, add rtoMax: 1_000. Detection then takes 14.8 s, and slow readers stay connected.'
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
      refuseSeconds(value, field, 'The kernel needs at least 2 s, a heartbeat 1.4 s.', { field })
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
