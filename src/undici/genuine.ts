import { Agent } from 'undici'
import { DeadpeerError } from '../errors.js'

/** Bun has a module by undici's name, whose agents are empty classes: requests go by Bun's own client, and no connection is ever seen. */
export function mustBeUndici(): void {
  if (typeof Agent.prototype.dispatch === 'function') return
  throw new DeadpeerError(
    'ERR_UNSUPPORTED_PLATFORM',
    "This runtime has an 'undici' of its own in place of the package, as Bun has, and its connections cannot be tuned. HttpAgent of deadpeer/http can be used there.",
  )
}
