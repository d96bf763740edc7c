import { type NativeCore, type NativeProfile, nativeCore } from '../kernel/binding.js'
import { canSet, compileOptions, type OptionName, refusalError } from '../kernel/socket-options.js'
import { isDefined, type PresetName, profileOf } from './presets.js'
import { checkProfile, type Profile } from './profile.js'

/** A profile in the form that is written to sockets. */
export interface Compiled {
  readonly profile: Profile
  readonly core: NativeCore
  readonly native: NativeProfile
  /** The fields of a `bestEffort` tune: each is left out if the socket does not have the option, or this process cannot set it. */
  readonly optional: ReadonlySet<OptionName>
  /** The fields that were left out. */
  readonly skipped: readonly OptionName[]
}

/** Profiles of `defineProfile` are frozen, so each is compiled and tried once. */
const strict = new WeakMap<Profile, Compiled>()
const lenient = new WeakMap<Profile, Compiled>()

/** Compiles a profile. `undefined` without the native core. */
export function compile(wanted: Profile | PresetName, bestEffort: boolean): Compiled | undefined {
  const profile = profileOf(wanted)
  const cache = bestEffort ? lenient : strict
  return cache.get(profile) ?? compileAnew(profile, bestEffort, cache)
}

function compileAnew(
  given: Profile,
  bestEffort: boolean,
  cache: WeakMap<Profile, Compiled>,
): Compiled | undefined {
  const profile = checkProfile(given)
  const core = nativeCore()
  if (!core) return undefined
  const skipped = bestEffort ? dropImpossible(profile) : []
  const optional = new Set(bestEffort ? namesOf(profile) : [])
  const compiled: Compiled = { profile, core, native: compileOptions(core, profile), optional, skipped }
  if (isDefined(given)) {
    rehearse(compiled)
    cache.set(given, compiled)
  }
  return compiled
}

function dropImpossible(profile: Profile): OptionName[] {
  const skipped = namesOf(profile).filter((name) => !canSet(name))
  for (const name of skipped) delete profile[name]
  return skipped
}

function namesOf(profile: Profile): OptionName[] {
  return Object.keys(profile) as OptionName[]
}

/** A copy without an option that the socket does not have. */
export function without(compiled: Compiled, name: OptionName): Compiled {
  return { ...leavingOut(compiled, [name]), skipped: [...compiled.skipped, name] }
}

/** A copy without the options that are deferred. */
export function leavingOut(compiled: Compiled, names: readonly OptionName[]): Compiled {
  const profile = { ...compiled.profile }
  for (const name of names) delete profile[name]
  return { ...compiled, profile, native: compileOptions(compiled.core, profile) }
}

/** Merges two profiles; `later` wins. A field is optional if its tune was `bestEffort`. */
export function merge(earlier: Compiled, later: Compiled): Compiled {
  if (earlier === later) return later
  const { core } = later
  const profile = { ...earlier.profile, ...later.profile }
  const optional = new Set(
    namesOf(profile).filter((name) => (name in later.profile ? later : earlier).optional.has(name)),
  )
  const skipped = [...new Set([...earlier.skipped, ...later.skipped])].filter((name) => !(name in profile))
  return { profile, core, native: compileOptions(core, profile), optional, skipped }
}

const rehearsed = new WeakSet<Compiled>()

/**
 * Tries a profile on a new TCP socket, once. An option that the kernel refuses is refused here already. If the kernel accepts all of them,
 * tuning other sockets saves no values for a rollback.
 */
export function rehearse(compiled: Compiled): void {
  if (rehearsed.has(compiled)) return
  const refusal = compiled.core.rehearse(compiled.native)
  // No socket could be opened (EMFILE). Until a try succeeds, each tune saves the previous values and rolls back after a refusal.
  if (refusal && refusal.option === undefined) return
  if (refusal) throw refusalError(refusal)
  rehearsed.add(compiled)
}
