import { InvalidTypeError } from '../errors.js'
import { describe, mustBe } from '../options/check.js'
import type { Hop, OnExpiry } from './hop.js'
import { inWords } from './in-words.js'

/** The range of idle times within which a connection expires, in ms. */
export interface IdleLimit {
  /** A connection that was idle for this long was still alive. 0: none was. */
  readonly atLeast: number
  /** A connection that was idle for this long was gone. */
  readonly atMost: number
}

/** What happened to one connection that was left idle. Times in ms. */
export interface Observation {
  /** Counted from 1: the step of the measurement. */
  readonly round: number
  /** How long the connection had been idle when the first probe left, or when it ended. */
  readonly idle: number
  /**
   * `alive`: the other side acknowledged a probe or acknowledged the FIN. `silent`: neither, although the kernel retransmitted the FIN three
   * times. `reset`: a RST came. `close`: a FIN came before ours.
   */
  readonly outcome: 'alive' | Exclude<OnExpiry, 'nothing'>
  /** The longest idle time at which the connection is known to have been alive. 0: not known. */
  readonly aliveAt: number
  /** The shortest idle time at which it is known to be gone. Left out: it is alive. */
  readonly goneAt?: number
  /** Whether it ended before anything was sent on it. */
  readonly unasked: boolean
  /** Probes sent. */
  readonly probes: number
  /** Probes that the other side acknowledged. */
  readonly acknowledged: number
  /** The time between two probes, on a connection that was probed all the time. */
  readonly probedEvery?: number
  /** How many of its last probes in a row went unacknowledged. */
  readonly unacknowledgedAtEnd: number
  /** When it was decided, in ms since the measurement began. */
  readonly at: number
}

/** A property of the path that needs attention, or a limit of the measurement. Match `code`: it is stable. */
export interface MeasureNote {
  /**
   * - `closed-by-peer`: the other end closes first, so a longer limit of a hop stays hidden.
   * - `contradiction`: connections that were idle for the same time had different outcomes.
   * - `ended-together`: connections of different ages ended at the same moment. They do not count.
   * - `incomplete`: the measurement was interrupted, or connections were missing.
   * - `not-opened`: some connections could not be opened.
   * - `peer-not-idle`: the other end sent something during the idle times.
   * - `probes-not-counted`: probes do not keep a connection open on this path.
   * - `probes-unacknowledged`: live connections did not acknowledge probes. Keepalive would end them.
   */
  readonly code:
    | 'closed-by-peer'
    | 'contradiction'
    | 'ended-together'
    | 'incomplete'
    | 'not-opened'
    | 'peer-not-idle'
    | 'probes-not-counted'
    | 'probes-unacknowledged'
  /** In words. */
  readonly message: string
}

/** The result of {@link measure}: what a path does with idle connections and keepalive probes. {@link plan} takes it as a hop. Times in ms. */
export interface MeasuredPath {
  /** `HOST:PORT`, or `port N` from the listening side. */
  readonly name: string
  /** The end that probed: `client` opened the connections, `server` accepted them. Some NATs have a limit for one side only. */
  readonly side: 'client' | 'server'
  /** The address and port that the client connected to. Left out on the listening side. */
  readonly address?: string
  /** Whether each connection sent an HTTP request first. */
  readonly http: boolean
  /** How long a connection may be idle. Left out: no limit was seen up to `idleTried`. */
  readonly idleLimit?: IdleLimit
  /** The longest idle time at which a connection was found alive. */
  readonly idleTried: number
  /** What happens at the limit. Left out if no limit was seen. */
  readonly onExpiry?: Exclude<OnExpiry, 'nothing'>
  /**
   * What ends the connection at the limit. `hop`: a device between the ends. `peer`: the end that TCP reaches, such as a server or a proxy. `unknown`:
   * the segments do not tell. Left out if no limit was seen.
   */
  readonly expiredBy?: 'hop' | 'peer' | 'unknown'
  /**
   * Whether live connections acknowledge keepalive probes. `unreliable`: some do, or the first probes only. Left out if no connection was probed while it was
   * alive.
   */
  readonly answersProbes?: 'yes' | 'no' | 'unreliable'
  /** Whether a keepalive probe restarts the idle time. Left out if there is no limit, or it is below 1.5 s. */
  readonly probesCount?: boolean
  /** Round-trip times of the handshakes. Left out if no connection was opened. */
  readonly rtt?: { readonly min: number; readonly median: number; readonly max: number }
  /** Whether the measurement reached its end. */
  readonly complete: boolean
  /** How long it took. */
  readonly took: number
  /** What to know about the path and the result. */
  readonly notes: readonly MeasureNote[]
  /** The connections, in the order in which their outcome was known. */
  readonly observations: readonly Observation[]
}

/** Whether a hop of a path is a result of `measure()`. */
export function isMeasured(hop: object): hop is MeasuredPath {
  return 'idleTried' in hop && 'observations' in hop
}

/**
 * The hop that a measured path is for a plan. Its idle timeout is `idleLimit.atLeast`.
 *
 * @throws {@link InvalidTypeError} if a field has another type than `measure()` gives it. The object may come from a file.
 */
export function measuredHop(measured: MeasuredPath): Hop {
  const { name, side, http, idleTried, idleLimit, onExpiry, expiredBy } = check(measured)
  // What is not known is taken to be as on most paths.
  const { probesCount = true, answersProbes = 'yes' } = measured
  const from = side === 'client' ? 'from the client' : 'from the listening side'
  const common = {
    name,
    title: `measured ${from}: ${name}`,
    layer: http ? 7 : 4,
    ...(http && { protocol: 'http' as const }),
    answersProbes,
  } as const
  if (!idleLimit) {
    return {
      ...common,
      idleTimeout: Number.POSITIVE_INFINITY,
      onExpiry: 'nothing',
      endsTcp: false,
      probesCount: true,
      certainty: 'uncertain',
      note: `connections were measured up to ${inWords(Math.round(idleTried))} and had no limit`,
    }
  }
  return {
    ...common,
    // A connection that expires at once still needs a time above 0.
    idleTimeout: Math.max(1, Math.floor(idleLimit.atLeast)),
    onExpiry: onExpiry ?? 'silent',
    endsTcp: expiredBy === 'peer',
    probesCount,
  }
}

function check(measured: MeasuredPath): MeasuredPath {
  const isTime = (value: unknown) => typeof value === 'number' && value >= 0
  const { name, idleTried, idleLimit, onExpiry, probesCount, answersProbes } = measured
  const limits: object | undefined = idleLimit
  refuseUnless(typeof name === 'string' && name !== '', 'name', 'a string', name)
  refuseUnless(isTime(idleTried), 'idleTried', 'a time from 0', idleTried)
  if (idleLimit !== undefined) {
    const isLimit = typeof limits === 'object' && limits !== null
    refuseUnless(isLimit, 'idleLimit', 'an object such as { atLeast: 9_000, atMost: 9_400 }', idleLimit)
    refuseUnless(isTime(idleLimit.atLeast), 'idleLimit.atLeast', 'a time from 0', idleLimit.atLeast)
  }
  const ends = [undefined, 'silent', 'reset', 'close']
  refuseUnless(ends.includes(onExpiry), 'onExpiry', "'silent', 'reset' or 'close'", onExpiry)
  const answers = [undefined, 'yes', 'no', 'unreliable']
  refuseUnless(answers.includes(answersProbes), 'answersProbes', "'yes', 'no' or 'unreliable'", answersProbes)
  refuseUnless(
    ['undefined', 'boolean'].includes(typeof probesCount),
    'probesCount',
    'true or false',
    probesCount,
  )
  return measured
}

function refuseUnless(isRight: boolean, field: string, wanted: string, got: unknown): void {
  if (isRight) return
  throw new InvalidTypeError(mustBe(`${field} of a measured path`, wanted, describe(got)), { field })
}
