import type { Dispatcher } from 'undici'
import type { Attempt } from './attempt.js'

type Handler = Dispatcher.DispatchHandler
type Callback = (...args: never[]) => unknown
type Callbacks = Record<string, Callback | undefined>

/** The names of the callbacks in the handlers of undici 7 and 8 (`new`), and of undici 6 (`legacy`), which undici 7 also accepts. */
const styles = {
  new: {
    begin: 'onRequestStart',
    headersAt: 2,
    answers: ['onResponseStart', 'onRequestUpgrade'],
    error: 'onResponseError',
    end: 'onResponseEnd',
    others: ['onResponseStarted', 'onResponseData', 'onBodySent', 'onRequestSent'],
  },
  legacy: {
    begin: 'onConnect',
    headersAt: 1,
    answers: ['onHeaders', 'onUpgrade'],
    error: 'onError',
    end: 'onComplete',
    others: ['onResponseStarted', 'onData', 'onBodySent', 'onRequestSent'],
  },
} as const

/**
 * Wraps a handler, so that the attempt gets the outcome of the request.
 *
 * @param repeat sends the request again with the original handler. Called instead of the error callback if the connection was gone.
 */
export function countingHandler(
  given: Handler,
  attempt: Attempt,
  repeat?: (handler: Handler) => void,
): Handler {
  const inner = given as unknown as Callbacks
  const { begin, answers, headersAt, error, end, others } =
    typeof inner.onRequestStart === 'function' ? styles.new : styles.legacy
  const own: Callbacks = {}
  own[begin] = (...args: never[]) => {
    attempt.begin()
    return inner[begin]?.(...withAbortObserved(args, () => attempt.abort()))
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
  own[end] = (...args: never[]) => {
    attempt.ended()
    return inner[end]?.(...args)
  }
  for (const name of others) own[name] = (...args: never[]) => inner[name]?.(...args)
  // A callback that is missing or not a function stays as it is: undici reports it.
  const handler: Callbacks = {}
  for (const [name, callback] of Object.entries(own)) {
    const theirs = inner[name]
    if (theirs !== undefined) handler[name] = typeof theirs === 'function' ? callback : theirs
  }
  return handler as unknown as Handler
}

/** Legacy handlers get a function that aborts: it is wrapped. New handlers get a controller of undici, which is passed on. */
function withAbortObserved(args: never[], onAbort: () => void): never[] {
  const [abort, ...rest] = args as unknown[]
  if (typeof abort !== 'function') return args
  const observed = (reason: unknown) => {
    onAbort()
    abort(reason)
  }
  return [observed, ...rest] as never[]
}
