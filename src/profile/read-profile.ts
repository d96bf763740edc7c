import type { SystemDefaults } from '../kernel/defaults.js'
import type { Profile } from './profile.js'

/** By the profiles that `inspect` read: the sysctls of the network namespace that the connection is in. */
const sources = new WeakMap<Profile, () => SystemDefaults | undefined>()

/** Notes where a profile was read. The sysctls are read when they are needed. */
export function noteSource(profile: Profile, readDefaults: () => SystemDefaults | undefined): void {
  sources.set(profile, readDefaults)
}

/** The defaults of the system that a profile was read from; `undefined` for one that was not read, or where they cannot be. */
export function defaultsBehind(profile: Profile): SystemDefaults | undefined {
  return sources.get(profile)?.()
}
