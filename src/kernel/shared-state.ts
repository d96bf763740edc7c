import { coreIfAvailable } from './binding.js'

const key = Symbol.for('deadpeer.state')

type WithState = { [key: symbol]: Map<string, unknown> | undefined }

/**
 * State that a thread has once, even if the files of this package are loaded several times: Jest does that for each test file, and after
 * `jest.resetModules()`. It belongs to the native core's exports, which Node loads once. Another version of the package has another core, so no two
 * versions share state. Without the core each copy has its own state; then it neither changes options for a while nor probes.
 *
 * State should be data. A function or method in it is code of the copy that made it, and Jest may have ended the environment of that copy.
 *
 * @returns a function that returns the state. Its first call loads the core, so that an import does not.
 */
export function sharedState<State>(name: string, make: () => State): () => State {
  let state: State | undefined
  return () => {
    state ??= findState(name, make)
    return state
  }
}

function findState<State>(name: string, make: () => State): State {
  const core = coreIfAvailable() as WithState | undefined
  if (!core) return make()
  core[key] ??= new Map()
  if (!core[key].has(name)) core[key].set(name, make())
  return core[key].get(name) as State
}
