import { DeadpeerError, type Profile, type Target, type TuneResult, tuneAll } from '../../../index.js'
import { allowShortTimeout } from '../../../kernel/socket-options.js'
import type { Progress } from '../../lib/progress.js'

/** A connection and its options before. */
export interface Tunable {
  readonly target: Target
  readonly before: Profile
}

export interface Tuned {
  /** One result each, up to the point of failure. */
  readonly results: readonly TuneResult[]
  /** The reason why all options were put back. */
  readonly error?: Error
  /** The number of connections that could not be put back in full, because the peer was not heard in time. */
  readonly notPutBack: number
}

/** The number of connections between two checks of the signal. */
const SLICE = 256

/**
 * Tunes many connections. If the kernel refuses one, or the signal is aborted, all that were tuned get back the options that they had. A
 * connection that was closed in the meantime is not a failure.
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

/** The fields of `before` that `profile` has changed. */
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
