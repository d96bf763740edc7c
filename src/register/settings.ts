import { InvalidTypeError } from '../errors.js'
import { nearest } from '../options/nearest.js'
import { catalogue, type HopName } from '../path/catalogue.js'
import { type Plan, plan } from '../path/planner.js'
import { defineProfile, type PresetName, profileOf } from '../profile/presets.js'
import type { Profile } from '../profile/profile.js'
import { parseTimings } from '../profile/timings.js'
import { parseRules, type Rule } from './rules.js'

/** The settings in the environment. */
export interface Settings {
  /** The one that `plan` computes for `DEADPEER_PATH`, overridden field by field by `DEADPEER_PROFILE`. `cloud` with neither. */
  readonly profile: Profile
  /** The first rule that matches decides. Value `undefined`: the connection is not tuned. */
  readonly rules: readonly Rule<Profile | undefined>[]
  readonly watch: 'destroy' | 'report' | undefined
}

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the settings from environment variables.
 *
 * @returns `undefined` if `DEADPEER` turns it off.
 * @throws {@link InvalidTypeError}; its message starts with the variable's name. Also if `DEADPEER_PROFILE` turns keepalive on, and a hop of
 * `DEADPEER_PATH` does not acknowledge all probes.
 */
export function readSettings(env: Environment): Settings | undefined {
  if (!choose(env, 'DEADPEER', { on: true, '1': true, off: false, '0': false }, true)) return undefined
  const chosen = named(env, 'DEADPEER_PROFILE', parseProfile)
  const planned = named(env, 'DEADPEER_PATH', parsePath)
  if (chosen && planned) refuseKeepalive(chosen, planned)
  return {
    profile: planned ? defineProfile({ ...planned.profile, ...chosen }) : (chosen ?? profileOf('cloud')),
    rules: named(env, 'DEADPEER_RULES', (text) => parseRules(text, parseProfileOrOff)) ?? [],
    watch: choose(
      env,
      'DEADPEER_WATCH',
      { '1': 'destroy', on: 'destroy', report: 'report', '0': undefined, off: undefined },
      undefined,
    ),
  }
}

function choose<Value>(
  env: Environment,
  name: string,
  choices: Readonly<Record<string, Value>>,
  otherwise: Value,
): Value {
  const text = env[name]
  if (text === undefined || text === '') return otherwise
  if (Object.hasOwn(choices, text)) return choices[text] as Value
  throw new InvalidTypeError(`${name} must be one of ${Object.keys(choices).join(', ')}; got '${text}'.`, {
    field: name,
  })
}

function named<Value>(env: Environment, name: string, parse: (text: string) => Value): Value | undefined {
  const text = env[name]?.trim()
  if (text === undefined || text === '') return undefined
  try {
    return parse(text)
  } catch (error) {
    throw new InvalidTypeError(`${name}: ${(error as Error).message}`, { field: name })
  }
}

/** Names of hops from the client to the server, separated by commas. */
function parsePath(text: string): Plan {
  const names = text.split(',').map((name) => name.trim())
  for (const name of names) {
    if (Object.hasOwn(catalogue(), name)) continue
    const near = nearest(name, Object.keys(catalogue()))
    throw new InvalidTypeError(
      `Unknown hop '${name}'. ${near.length > 0 ? `Did you mean ${near.join(' or ')}?` : 'deadpeer hops lists the names.'}`,
    )
  }
  return plan({ path: names as HopName[] })
}

/** @throws {@link InvalidTypeError} if the profile would end connections to live peers on this path. */
function refuseKeepalive(profile: Profile, { profile: planned, path }: Plan): void {
  const hop = path.find(({ answersProbes }) => answersProbes !== 'yes')
  if (!hop || !profile.enable) return
  throw new InvalidTypeError(
    `DEADPEER_PROFILE turns keepalive on, but ${hop.name} of DEADPEER_PATH does not acknowledge all probes, so keepalive would end connections to live peers. Leave DEADPEER_PROFILE out, or set it to ${JSON.stringify(planned)}.`,
    { field: 'DEADPEER_PROFILE' },
  )
}

function parseProfileOrOff(text: string): Profile | undefined {
  return text === 'off' ? undefined : parseProfile(text)
}

/** The name of a preset; `initialDelay/interval/count`, such as `60s/5s/3`; or a profile as JSON. */
function parseProfile(text: string): Profile {
  if (text.startsWith('{')) return defineProfile(JSON.parse(text) as Profile)
  const timings = parseTimings(text)
  return timings ? defineProfile(timings) : profileOf(text as PresetName)
}
