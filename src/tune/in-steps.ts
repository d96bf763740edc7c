import { setTimeout as delay } from 'node:timers/promises'
import { DeadpeerError } from '../errors.js'
import type { OptionName } from '../kernel/socket-options.js'
import type { Profile } from '../profile/profile.js'

/** How long to wait for the peer's answer, and how long between two tries; ms. */
const ANSWER_WITHIN = 2_000
const RETRY_AFTER = 20

/**
 * Tunes a borrowed socket. `attempt` writes all fields except those that it must leave out, or throws `ERR_MUST_WAIT`. The safe values are
 * written first, and all values once the peer is heard. No stand-in value is ever written, so if this process ends in between, the socket has
 * only values that the caller wants.
 *
 * @returns the result of `attempt`, or the values that were finally left out.
 */
export async function inSteps<T>(
  wanted: Profile,
  attempt: (leaveOut: readonly OptionName[]) => T,
): Promise<T | { pending: Profile }> {
  const deadline = performance.now() + ANSWER_WITHIN
  let pending: Profile | undefined
  do {
    try {
      return attempt([])
    } catch (error) {
      const refused = pendingOf(error)
      if (!refused) throw error
      // All other values have been written, so later attempts refuse only these.
      pending ??= attemptOthers(wanted, refused, attempt)
    }
    await delay(RETRY_AFTER)
  } while (performance.now() < deadline)
  return { pending }
}

/**
 * The values that {@link inSteps} would write only after the peer is heard. `attempt` must write nothing.
 *
 * @throws the error of `attempt`, except `ERR_MUST_WAIT`.
 */
export function stepsAhead(
  wanted: Profile,
  attempt: (leaveOut: readonly OptionName[]) => void,
): Profile | undefined {
  try {
    attempt([])
    return undefined
  } catch (error) {
    const refused = pendingOf(error)
    if (!refused) throw error
    return attemptOthers(wanted, refused, attempt)
  }
}

/**
 * Attempts all fields except the refused ones, and returns all values that were left out. That can be more than `refused`: if `userTimeout` is
 * left out, `count` decides, and it can end the connection too.
 */
function attemptOthers(
  wanted: Profile,
  refused: Profile,
  attempt: (leaveOut: readonly OptionName[]) => unknown,
): Profile {
  const others = Object.entries(wanted).filter(([field]) => !Object.hasOwn(refused, field))
  if (others.length === 0) return refused
  try {
    attempt(Object.keys(refused) as OptionName[])
    return refused
  } catch (error) {
    const alsoRefused = pendingOf(error) ?? {}
    const more = others.filter(([field]) => Object.hasOwn(alsoRefused, field))
    if (more.length === 0) throw error
    return attemptOthers(wanted, { ...refused, ...Object.fromEntries(more) }, attempt)
  }
}

function pendingOf(error: unknown): Profile | undefined {
  return error instanceof DeadpeerError && error.code === 'ERR_MUST_WAIT' ? error.pending : undefined
}
