import { type NativeCore, type NativeProfile, nativeCore } from '../kernel/binding.js'
import { canSet, compileOptions, type OptionName, refusalError } from '../kernel/options.js'
import { isDefined, type PresetName, profileOf } from './presets.js'
import { checkProfile, type Profile } from './profile.js'

/** A profile made ready to be written to sockets. */
export interface Compiled {
  readonly profile: Profile
  readonly core: NativeCore
  readonly native: NativeProfile
  /** Fields to do without where the socket does not have the option, or this process cannot set it: those tuned with `bestEffort`. */
  readonly optional: ReadonlySet<OptionName>
  /** Fields already left out for that. */
  readonly skipped: readonly OptionName[]
}

/** Defined profiles never change, so each is compiled and rehearsed once. */
const strict = new WeakMap<Profile, Compiled>()
const lenient = new WeakMap<Profile, Compiled>()

/** Compiles a profile; undefined where there is no native core, and Node's own means must do. */
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

/** The same without one option: what is left to try where a socket lacks it. */
export function without(compiled: Compiled, name: OptionName): Compiled {
  return { ...leavingOut(compiled, [name]), skipped: [...compiled.skipped, name] }
}

/** The same without some options, for now. */
export function leavingOut(compiled: Compiled, names: readonly OptionName[]): Compiled {
  const profile = { ...compiled.profile }
  for (const name of names) delete profile[name]
  return { ...compiled, profile, native: compileOptions(compiled.core, profile) }
}

/** Both, the later over the earlier. Each field stays as optional as the tune that brought it in. */
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
 * Tries a profile on a socket of our own, once. What the kernel refuses it refuses there already, and what it takes
 * there need not be saved for a roll-back on other sockets.
 */
export function rehearse(compiled: Compiled): void {
  if (rehearsed.has(compiled)) return
  const refusal = compiled.core.rehearse(compiled.native)
  // Without a socket to try it on (EMFILE) each is saved and rolled back; another time it may be had.
  if (refusal && refusal.option === undefined) return
  if (refusal) throw refusalError(refusal)
  rehearsed.add(compiled)
}
