import { setTimeout as delay } from 'node:timers/promises'
import { DeadpeerError } from '../errors.js'
import type { OptionName } from '../kernel/socket-options.js'
import type { Profile } from '../profile/profile.js'

/** How long the peer has to answer, and how often to look; ms. */
const PATIENCE = 2_000
const LOOK_AGAIN = 20

/**
 * Tunes a borrowed socket by way of `attempt`, which writes all fields except those that it must leave out, or throws `ERR_MUST_WAIT`:
 * first what is safe, and all of it once the peer has been heard. Each value that is written is one that was asked for, and
 * safe as the others are, so whatever ends this process in between leaves no makeshift behind.
 *
 * @returns what `attempt` did, or what had to be left out in the end.
 */
export async function inSteps<T>(
  wanted: Profile,
  attempt: (leaveOut: readonly OptionName[]) => T,
): Promise<T | { pending: Profile }> {
  const deadline = performance.now() + PATIENCE
  let pending: Profile | undefined
  do {
    try {
      return attempt([])
    } catch (error) {
      const refused = pendingOf(error)
      if (!refused) throw error
      // Later attempts refuse no more than that: all other values have been written.
      pending ??= attemptOthers(wanted, refused, attempt)
    }
    await delay(LOOK_AGAIN)
  } while (performance.now() < deadline)
  return { pending }
}

/**
 * What {@link inSteps} would come to now, where `attempt` writes nothing: what it would write only once the peer has been heard.
 *
 * @throws what `attempt` throws, unless that is about waiting.
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
 * Attempts all fields but the refused ones, and returns what was left out in the end. That can be more than `refused`: where a `userTimeout`
 * is left out, the kernel goes by `count`, which can end the connection as well.
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
