import { DeadpeerError, type Profile, type Target, type TuneResult, tuneAll } from '../../../index.js'
import { allowShortTimeout } from '../../../kernel/options.js'
import type { Progress } from '../../lib/progress.js'

/** A connection, and the options that it has. */
export interface Tunable {
  readonly target: Target
  readonly before: Profile
}

export interface Tuned {
  /** One each, as far as it went. */
  readonly results: readonly TuneResult[]
  /** Why all was put back. */
  readonly error?: Error
  /** How many of those were not heard from in time to have all of it back. */
  readonly notPutBack: number
}

/** Between two looks at whether somebody wants it to end. */
const SLICE = 256

/**
 * Tunes many connections. Where one is refused, or `signal` calls it off, all that were tuned get back what they had. One that was closed
 * meanwhile is no failure.
 */
export async function tuneAllOrNone(
  connections: readonly Tunable[],
  profile: Profile,
  signal: AbortSignal,
  progress: Progress,
): Promise<Tuned> {
  const results: TuneResult[] = []
  while (results.length < connections.length) {
    const slice = connections.slice(results.length, results.length + SLICE)
    results.push(
      ...(await tuneAll(
        slice.map(({ target }) => target),
        profile,
      )),
    )
    progress.say('tuning', results.length, connections.length)
    const error = signal.aborted
      ? new Error('interrupted')
      : results.find((result) => result.error && !isClosed(result.error))?.error
    if (error) progress.say('putting back')
    if (error) return { results, error, notPutBack: await putBack(connections, results, profile) }
  }
  return { results, notPutBack: 0 }
}

async function putBack(
  connections: readonly Tunable[],
  results: readonly TuneResult[],
  profile: Profile,
): Promise<number> {
  const tuned = connections.filter((_, i) => results[i] && !results[i].error)
  const outcomes = await Promise.all(
    tuned.map(({ target, before }) => tuneAll([target], fieldsOf(profile, before))),
  )
  return outcomes.filter(([result]) => result!.pending || (result!.error && !isClosed(result!.error))).length
}

/** Of `before` what `profile` has changed. */
function fieldsOf(profile: Profile, before: Profile): Profile {
  const fields: Profile = Object.fromEntries(
    Object.entries(before).filter(([field]) => Object.hasOwn(profile, field)),
  )
  allowShortTimeout(fields)
  return fields
}

export function isClosed(error: Error): boolean {
  return error instanceof DeadpeerError && error.code === 'ERR_SOCKET_CLOSED'
}
