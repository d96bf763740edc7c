import { InvalidArgumentError } from 'commander'
import { type PresetName, type Profile, profiles } from '../../index.js'
import { nearestOnly } from '../../options/nearest.js'
import { parseTimings } from '../../profile/timings.js'

/** A profile as one types it: 60s/5s/3 or 60/5/3 is initialDelay/interval/count; or the name of a preset. */
export function profileArgument(text: string): Profile {
  const profile = presetOf(text) ?? parseTimings(text)
  if (profile) return { ...profile }
  const names = Object.keys(profiles)
  const [near] = nearestOnly(text, names)
  throw new InvalidArgumentError(
    near === undefined
      ? `A profile is initialDelay/interval/count, such as 60s/5s/3, or one of ${names.join(', ')}.`
      : `Did you mean '${near}'? The presets are ${names.join(', ')}.`,
  )
}

function presetOf(text: string): Profile | undefined {
  return Object.hasOwn(profiles, text) ? profiles[text as PresetName] : undefined
}

/** The same for DEADPEER_PROFILE, which may also be JSON. */
export function profileTextArgument(text: string): string {
  if (!text.startsWith('{')) profileArgument(text)
  return text
}
