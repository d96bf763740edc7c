import { types } from 'node:util'
import { InvalidTypeError } from '../errors.js'
import { describe } from '../options/check.js'
import type { Death } from './events.js'

/** @inline */
type Action = 'destroy' | 'report'
/** @inline */
// biome-ignore lint/suspicious/noConfusingVoidType: `undefined` would refuse (death) => console.log(death)
type Decision = Action | void
/**
 * What happens to a socket whose peer is dead: an action for all, or a function that decides for each death. The function must not be async. If it
 * returns nothing, that means `'report'`. Any other value means `'report'` too, with one warning in the life of the process.
 */
export type OnDead = Action | ((death: Death) => Decision)

export function checkOnDead(value: unknown): void {
  if (types.isAsyncFunction(value)) throw notSynchronous()
  if (typeof value !== 'function') checkAction(value)
}

/** Calls the function for a death. If it throws, the socket is left as it is. */
export function decide(onDead: OnDead, death: () => Death): Action {
  if (typeof onDead === 'string') return onDead
  try {
    const action: unknown = onDead(death())
    if (action === 'destroy' || action === 'report') return action
    if (action !== undefined) warnOnce(action)
  } catch (error) {
    throwLater(error)
  }
  return 'report'
}

let hasWarned = false

/** Warns of another value. It is not an error, because `(death) => list.push(death)` returns a number. Node reports the rejection of a promise. */
function warnOnce(returned: unknown): void {
  if (hasWarned) return
  hasWarned = true
  const got = types.isPromise(returned) ? 'a Promise, which is not awaited' : describe(returned)
  const message = `onDead of a watcher returned ${got}. It must return 'destroy', 'report' or nothing, and not a promise; anything else means 'report'.`
  process.emitWarning(message, { code: 'DEADPEER_ON_DEAD' })
}

/**
 * `onDead` of the watchers of agents and `register`. It destroys the connection of an unresponsive peer, and leaves a reset to Node. Node
 * delivers the data that came before the reset, so a complete response stays complete. undici throws an AssertionError if its socket is destroyed with
 * ECONNRESET while a body is unread.
 */
export function leaveResets({ reason }: Death): 'destroy' | 'report' {
  return reason === 'reset' ? 'report' : 'destroy'
}

/** Throws in the check phase of the event loop. All deaths of this turn's poll phase are announced first. */
export function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}

function checkAction(action: unknown): void {
  if (action === 'destroy' || action === 'report') return
  throw new InvalidTypeError(
    `onDead must be 'destroy', 'report', or a function that returns one of them or nothing; got ${describe(action)}.`,
    { field: 'onDead' },
  )
}

function notSynchronous(): InvalidTypeError {
  return new InvalidTypeError(
    `onDead must be synchronous, and return 'destroy', 'report' or nothing; got an async function. For async work listen to 'dead', and use onDead: 'report'.`,
    { field: 'onDead' },
  )
}
