import { type PresetName, type Profile, profiles } from '../../index.js'
import { nearestOnly } from '../../options/nearest.js'
import { parseTimings } from '../../profile/timings.js'
import { mustBe } from './invalid-argument.js'

/** A profile: the name of a preset, or initialDelay/interval/count as 60s/5s/3 or 60/5/3. */
export function profileArgument(text: string): Profile {
  const profile = presetOf(text) ?? parseTimings(text)
  if (profile) return { ...profile }
  const names = Object.keys(profiles)
  const [near] = nearestOnly(text, names)
  throw mustBe(
    `one of ${names.join(', ')}, or initialDelay/interval/count such as 60s/5s/3`,
    near === undefined ? '' : `Did you mean ${near}?`,
  )
}

function presetOf(text: string): Profile | undefined {
  return Object.hasOwn(profiles, text) ? profiles[text as PresetName] : undefined
}
