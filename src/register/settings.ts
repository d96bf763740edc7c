import { InvalidTypeError } from '../errors.js'
import { defineProfile, type PresetName, profileOf } from '../profile/presets.js'
import type { Profile } from '../profile/profile.js'
import { parseTimings } from '../profile/timings.js'
import { parseRules, type Rule } from './rules.js'

/** The settings in the environment. */
export interface Settings {
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
 * @throws {@link InvalidTypeError}; its message starts with the variable's name.
 */
export function readSettings(env: Environment): Settings | undefined {
  if (!choose(env, 'DEADPEER', { on: true, '1': true, off: false, '0': false }, true)) return undefined
  return {
    profile: named(env, 'DEADPEER_PROFILE', parseProfile) ?? profileOf('cloud'),
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

function parseProfileOrOff(text: string): Profile | undefined {
  return text === 'off' ? undefined : parseProfile(text)
}

/** The name of a preset; `initialDelay/interval/count`, such as `60s/5s/3`; or a profile as JSON. */
function parseProfile(text: string): Profile {
  if (text.startsWith('{')) return defineProfile(JSON.parse(text) as Profile)
  const timings = parseTimings(text)
  return timings ? defineProfile(timings) : profileOf(text as PresetName)
}
