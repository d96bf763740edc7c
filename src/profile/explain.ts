import { literal } from '../options/check.js'
import { detectionTime, probesUntil, settingsOf } from './detection-time.js'
import { type PresetName, profileOf } from './presets.js'
import { checkProfile, defaultsBehind, type Profile } from './profile.js'

/** A property of a profile that its author may not expect. Match `code`: it is stable. */
export interface Warning {
  /** The kind of warning. Stable. */
  readonly code:
    | 'keepalive-off'
    | 'count-never-reached'
    | 'user-timeout-outlasts-count'
    | 'user-timeout-under-a-second'
    | 'ends-slow-reader'
    | 'in-flight-unbounded'
    | 'initial-delay-past-middleboxes'
  /** The warning in words, with the numbers. */
  readonly message: string
}

/** The idle timeout of Azure's load balancer and NAT gateway, ms: one of the shortest defaults in wide use. */
const COMMON_IDLE_TIMEOUT = 240_000

/** The shortest userTimeout without a warning, ms. A retransmission takes at least 200 ms, so a shorter one allows one or two. */
const SHORTEST_USUAL = 1_000

/**
 * Warns about effects of a profile that its author may not expect. An empty array if there are none.
 *
 * @throws as {@link defineProfile}.
 * @example
 * ```ts
 * explain({ initialDelay: 10_000, interval: 10_000, count: 5, userTimeout: 20_000 })[0].message
 * // 'userTimeout 20 s ends an idle connection after 1 unanswered probe, at 20 s: count 5 is never reached.'
 * ```
 */
export function explain(profile: Profile | PresetName): Warning[] {
  const given = profileOf(profile)
  const checked = checkProfile(given)
  const defaults = defaultsBehind(given)
  const warnings: Warning[] = []
  const warn = (code: Warning['code'], message: string) => warnings.push({ code, message })
  const { enable, initialDelay, interval, count, userTimeout } = settingsOf(checked, defaults)
  const { idle, inFlight } = detectionTime(checked, { defaults })

  if (!enable) {
    warn(
      'keepalive-off',
      'Keepalive is off, so the kernel never notices that the peer of an idle connection is gone.',
    )
  } else {
    if (userTimeout > 0) {
      const probes = probesUntil(userTimeout, initialDelay, interval)
      const end = `userTimeout ${time(userTimeout)} ends an idle connection after ${plural(probes)}, at ${time(idle)}`
      if (probes < count) warn('count-never-reached', `${end}: count ${count} is never reached.`)
      if (probes > count) warn('user-timeout-outlasts-count', `${end}: count ${count} is ignored.`)
    }
    if (initialDelay >= COMMON_IDLE_TIMEOUT) {
      warn(
        'initial-delay-past-middleboxes',
        `initialDelay is ${time(initialDelay)}. Common load balancers and NATs may drop an idle connection before the first probe ` +
          '(Azure after 4 min, AWS after 350 s).',
      )
    }
  }
  if (userTimeout > 0 && userTimeout < SHORTEST_USUAL) {
    warn(
      'user-timeout-under-a-second',
      `userTimeout ${time(userTimeout)} ends the connection to a live peer if the network loses packets for about that long. ` +
        `If you mean ${userTimeout} s, write ${literal(userTimeout * 1_000)}.`,
    )
  }
  if (userTimeout > 0) {
    warn(
      'ends-slow-reader',
      `userTimeout ${time(userTimeout)} also ends the connection to a live peer that reads nothing for that long while data waits for it.`,
    )
  } else {
    warn(
      'in-flight-unbounded',
      `No userTimeout is set. With data in flight, the kernel sends no keepalive probes and takes ${time(inFlight)} to notice that the peer is gone.`,
    )
  }
  return warnings
}

function plural(probes: number): string {
  return probes === 1 ? '1 unanswered probe' : `${probes} unanswered probes`
}

function time(ms: number): string {
  if (ms < 1000) return `${ms} ms`
  if (ms < 120_000) return `${+(ms / 1000).toFixed(1)} s`
  return `${+(ms / 60_000).toFixed(1)} min`
}
