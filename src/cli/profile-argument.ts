import { InvalidArgumentError } from 'commander'
import { type PresetName, type Profile, profiles } from '../index.js'
import { duration } from './duration.js'

/** A profile as one types it: 60s/5s/3 is initialDelay/interval/count; or the name of a preset. */
export function profileArgument(text: string): Profile {
  if (Object.hasOwn(profiles, text)) return { ...profiles[text as PresetName] }
  const parts = text.split('/')
  if (parts.length !== 3 || !/^\d+$/.test(parts[2]!)) {
    throw new InvalidArgumentError(
      `A profile is initialDelay/interval/count, such as 60s/5s/3, or one of ${Object.keys(profiles).join(', ')}.`,
    )
  }
  const [initialDelay, interval] = parts.map((part, i) => (i < 2 ? duration(part) : 0))
  return { initialDelay: initialDelay!, interval: interval!, count: Number(parts[2]) }
}

/** The same for DEADPEER_PROFILE: the name of a preset, or JSON. */
export function profileTextArgument(text: string): string {
  const isText = text.startsWith('{') || Object.hasOwn(profiles, text)
  return isText ? text : JSON.stringify(profileArgument(text))
}
