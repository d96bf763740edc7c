import type { Dispatcher } from 'undici'
import type { Attempt } from './attempt.js'

type Handler = Dispatcher.DispatchHandler
type Callback = (...args: never[]) => unknown
type Callbacks = Record<string, Callback | undefined>

/** The names of the callbacks in the handlers of undici 7 and 8, and in those of 6, which 7 takes as well. */
const styles = {
  new: {
    begin: 'onRequestStart',
    headersAt: 2,
    answers: ['onResponseStart', 'onRequestUpgrade'],
    error: 'onResponseError',
    others: ['onResponseStarted', 'onResponseData', 'onResponseEnd', 'onBodySent', 'onRequestSent'],
  },
  legacy: {
    begin: 'onConnect',
    headersAt: 1,
    answers: ['onHeaders', 'onUpgrade'],
    error: 'onError',
    others: ['onResponseStarted', 'onData', 'onComplete', 'onBodySent', 'onRequestSent'],
  },
} as const

/**
 * Wraps a handler, so that the attempt learns what becomes of the request.
 *
 * @param repeat sends the request again with the handler that was given. Called instead of the error callback if the connection was gone.
 */
export function countingHandler(
  given: Handler,
  attempt: Attempt,
  repeat?: (handler: Handler) => void,
): Handler {
  const inner = given as unknown as Callbacks
  const { begin, answers, headersAt, error, others } =
    typeof inner.onRequestStart === 'function' ? styles.new : styles.legacy
  const own: Callbacks = {}
  own[begin] = (...args: never[]) => {
    attempt.begin()
    return inner[begin]?.(...withAbortSeen(args, () => attempt.abort()))
  }
  for (const name of answers) {
    own[name] = (...args: never[]) => {
      attempt.answered(args[headersAt])
      return inner[name]?.(...args)
    }
  }
  own[error] = (...args: never[]) => {
    attempt.abort()
    const isRepeated = attempt.failed(args.at(-1), repeat !== undefined)
    return isRepeated ? repeat?.(given) : inner[error]?.(...args)
  }
  for (const name of others) own[name] = (...args: never[]) => inner[name]?.(...args)
  // What is missing, or is no function, is left as it is: undici reports it.
  const handler: Callbacks = {}
  for (const [name, callback] of Object.entries(own)) {
    const theirs = inner[name]
    if (theirs !== undefined) handler[name] = typeof theirs === 'function' ? callback : theirs
  }
  return handler as unknown as Handler
}

/** The older handlers get a function to abort with. The newer ones get a controller, which belongs to undici. */
function withAbortSeen(args: never[], see: () => void): never[] {
  const [abort, ...rest] = args as unknown[]
  if (typeof abort !== 'function') return args
  const seen = (reason: unknown) => {
    see()
    abort(reason)
  }
  return [seen, ...rest] as never[]
}
