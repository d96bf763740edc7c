import diagnostics from 'node:diagnostics_channel'
import type net from 'node:net'
import type { Dispatcher } from 'undici'
import { failureOf, judgeStale } from '../http/stale.js'
import { hasAcknowledged, noteUse, type Use } from './used.js'

type Options = Dispatcher.DispatchOptions
type Handler = Dispatcher.DispatchHandler

/** RFC 9110, 9.2.2: what may happen twice. */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])

/** Whether a request may be repeated at all, and can be: its body is still there. */
export function isRepeatable(options: Options): boolean {
  const { method, body, upgrade, idempotent: said } = options
  if (upgrade || said === false || !isAtHand(body)) return false
  return idempotent.has(method) || hasIdempotencyKey(options.headers)
}

function isAtHand(body: unknown): boolean {
  return body === null || body === undefined || typeof body === 'string' || body instanceof Uint8Array
}

/** Headers come as an object, as names and values in turns, or as pairs. */
function hasIdempotencyKey(headers: unknown): boolean {
  if (typeof headers !== 'object' || headers === null) return false
  const isKey = (name: unknown) => String(name).toLowerCase() === 'idempotency-key'
  if (Array.isArray(headers)) {
    return headers.some((each, i) => (Array.isArray(each) ? isKey(each[0]) : i % 2 === 0 && isKey(each)))
  }
  if (Symbol.iterator in headers) {
    return [...(headers as Iterable<unknown>)].some((each) => Array.isArray(each) && isKey(each[0]))
  }
  return Object.entries(headers).some(([name, value]) => value !== undefined && isKey(name))
}

/** The attempt whose request is being written: undici tells in the same breath on which connection that is. */
let writing: Attempt | undefined
let isListening = false

function listenForConnections(): void {
  if (isListening) return
  isListening = true
  diagnostics.subscribe('undici:client:sendHeaders', (message) => {
    const attempt = writing
    writing = undefined
    if (attempt) attempt.use = noteUse((message as { socket: net.Socket }).socket)
  })
}

/** One sending of a request. */
class Attempt {
  use: Use | undefined
  answered = false

  begin(): void {
    this.use = undefined
    writing = this
  }

  /** It was called off before anything of it was written. */
  callOff(): void {
    if (writing === this) writing = undefined
  }

  metStale(error: unknown): boolean {
    const { use, answered } = this
    if (!use) return false
    const failure = failureOf(error) ?? (isClosed(error) ? 'closed' : undefined)
    // A server that closes an idle connection in the moment that a request arrives resets it: its kernel has acknowledged what nobody will read.
    // What may happen twice is repeated then as well.
    const acknowledged = failure === 'reset' ? undefined : hasAcknowledged(use)
    return judgeStale(failure, { reused: use.isReuse, answered, peerClosed: true, acknowledged })
  }
}

/** The peer has closed its side, or the HTTP/2 session. */
function isClosed(error: unknown): boolean {
  const { code } = (error ?? {}) as NodeJS.ErrnoException
  return (
    code === 'UND_ERR_SOCKET' || code === 'ERR_HTTP2_GOAWAY_SESSION' || code === 'ERR_HTTP2_STREAM_CANCEL'
  )
}

type Callback = (...args: never[]) => unknown
type Callbacks = Record<string, Callback | undefined>

/** What marks an answer, and what an error, in the handlers of undici 7 and 8, and in those of 6, which 7 takes as well. */
const styles = {
  new: {
    begin: 'onRequestStart',
    answers: ['onResponseStart', 'onRequestUpgrade'],
    error: 'onResponseError',
    others: ['onResponseStarted', 'onResponseData', 'onResponseEnd', 'onBodySent', 'onRequestSent'],
  },
  legacy: {
    begin: 'onConnect',
    answers: ['onHeaders', 'onUpgrade'],
    error: 'onError',
    others: ['onResponseStarted', 'onData', 'onComplete', 'onBodySent', 'onRequestSent'],
  },
} as const

/**
 * A handler that has a request repeated, once, where it met a connection that was gone.
 *
 * @param repeat sends it again, on a connection of its own, with the handler that it was given.
 */
export function repeatingStale(given: Handler, repeat: (handler: Handler) => void): Handler {
  listenForConnections()
  const inner = given as unknown as Callbacks
  const { begin, answers, error, others } =
    typeof inner.onRequestStart === 'function' ? styles.new : styles.legacy
  const attempt = new Attempt()
  const pass =
    (name: string) =>
    (...args: never[]) =>
      inner[name]?.(...args)
  const handler: Callbacks = Object.fromEntries(
    others.filter((name) => inner[name]).map((name) => [name, pass(name)]),
  )
  handler[begin] = (...args: never[]) => {
    attempt.begin()
    const result = inner[begin]?.(...withAbortSeen(args, () => attempt.callOff()))
    return result
  }
  for (const name of answers) {
    handler[name] = (...args: never[]) => {
      attempt.answered = true
      return inner[name]?.(...args)
    }
  }
  handler[error] = (...args: never[]) => {
    attempt.callOff()
    if (attempt.metStale(args.at(-1))) return repeat(given)
    return inner[error]?.(...args)
  }
  return handler as unknown as Handler
}

/** The older handlers are given a function, the newer ones a controller, which is not ours to change. */
function withAbortSeen(args: never[], see: () => void): never[] {
  const [abort, ...rest] = args as unknown[]
  if (typeof abort !== 'function') return args
  const seen = (reason: unknown) => {
    see()
    abort(reason)
  }
  return [seen, ...rest] as never[]
}
