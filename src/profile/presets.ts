import { InvalidTypeError } from '../errors.js'
import { describe, mustBe } from '../options/check.js'
import { nearestOnly } from '../options/nearest.js'
import { checkProfile, type Profile } from './profile.js'

const defined = new WeakSet<object>()

/** Whether {@link defineProfile} made this profile: it is checked and frozen. */
export function isDefined(profile: object): boolean {
  return defined.has(profile)
}

/**
 * Checks a profile once and freezes it. Tuning with it is faster than with a literal: `tune` checks and tries a literal each time.
 *
 * @throws {@link InvalidTypeError} for an unknown field or a value of the wrong type.
 * @throws {@link OutOfRangeError} for a value outside its range, or one the kernel cannot hold exactly.
 * @example
 * ```ts
 * const backend = defineProfile({ initialDelay: 20_000, interval: 5_000, count: 4, userTimeout: 40_000 })
 * for (const socket of pool) tune(socket, backend)
 * ```
 */
export function defineProfile<const P extends Profile>(profile: P): Readonly<P & { enable: boolean }>
export function defineProfile(profile: Profile): Readonly<Profile>
export function defineProfile(profile: Profile): Readonly<Profile> {
  const frozen = Object.freeze(checkProfile(profile))
  defined.add(frozen)
  return frozen
}

/**
 * Profiles for common paths. Every preset sets the same five fields: `enable`, `initialDelay`, `interval`, `count` and
 * `userTimeout`. So one preset replaces another completely.
 *
 * Each `userTimeout` equals `initialDelay + interval × count`. So detection takes as long with data in flight as on an idle connection, and
 * the kernel sends all `count` probes. `patient` turns it off: `userTimeout: 0`.
 *
 * | preset | idle peer gone after | with data in flight | for |
 * |---|---|---|---|
 * | `lan` | 6 s | 6.4 s | one rack or switch; sidecars; a few hundred connections |
 * | `datacenter` | 30 s | 30.4 s | services and databases of one region |
 * | `cloud` | 60 s | 60.4 s | paths through load balancers and NAT with idle timeouts of 60 s or more |
 * | `mobile` | 4 min | 4 min | phones behind carrier NAT: few wake-ups, survives minutes without a network |
 * | `patient` | 3 min | 15 min | peers that may read nothing for minutes and must stay connected |
 *
 * @example
 * ```ts
 * tune(socket, 'datacenter')
 * tune(socket, { ...profiles.datacenter, count: 5, userTimeout: 40_000 })
 * ```
 */
export const profiles = Object.freeze({
  /** Detects a dead peer in 6 s on an idle connection, in 6.4 s with data in flight. */
  lan: preset(3_000, 1_000, 3),
  /** Detects a dead peer in 30 s on an idle connection, in 30.4 s with data in flight. */
  datacenter: preset(15_000, 5_000, 3),
  /** Detects a dead peer in 60 s on an idle connection, in 60.4 s with data in flight. Within any 60 s it sends a probe, and a second one if that is lost. */
  cloud: preset(30_000, 10_000, 3),
  /** Detects a dead peer in 4 minutes, idle or with data in flight. One probe in two minutes lets a phone's radio sleep. */
  mobile: preset(120_000, 20_000, 6),
  /**
   * Detects a dead peer in 3 minutes on an idle connection. `userTimeout` is 0, because any other value also ends connections to live peers that
   * read slowly. With data in flight only the kernel's retransmissions detect a dead peer, after 15 minutes or more.
   */
  patient: preset(60_000, 15_000, 8, 0),
})

/** Without the checks of {@link defineProfile}: they would run at every import. A test checks the presets. */
function preset(
  initialDelay: number,
  interval: number,
  count: number,
  userTimeout = initialDelay + interval * count,
) {
  const profile = Object.freeze({ enable: true, initialDelay, interval, count, userTimeout })
  defined.add(profile)
  return profile
}

/** The name of one of the {@link profiles}: `lan`, `datacenter`, `cloud`, `mobile`, `patient`. */
export type PresetName = keyof typeof profiles

/** A preset by its name, or the profile itself. */
export function profileOf(profile: Profile | PresetName): Profile {
  if (typeof profile === 'object' && profile !== null) return profile
  if (typeof profile === 'string' && Object.hasOwn(profiles, profile)) return profiles[profile]
  throw notAProfile(profile)
}

function notAProfile(given: unknown): InvalidTypeError {
  const names = Object.keys(profiles)
  const isOff = given === false || given === 'off'
  const presets = isOff
    ? 'To turn keepalive off, pass { enable: false }.'
    : `The presets are ${names.map((name) => `'${name}'`).join(', ')}.`
  if (typeof given !== 'string') {
    const wanted = 'an object such as { initialDelay: 30_000 }'
    return new InvalidTypeError(`${mustBe('A profile', wanted, describe(given))} ${presets}`, {
      field: 'profile',
    })
  }
  const [near] = isOff ? [] : nearestOnly(given, names)
  const hint = near === undefined ? '' : ` Did you mean '${near}'?`
  return new InvalidTypeError(`Unknown preset '${given}'.${hint} ${presets}`, { field: 'profile' })
}

export function isPreset(profile: Profile | PresetName): boolean {
  return typeof profile === 'string' || Object.values<Profile>(profiles).includes(profile)
}
