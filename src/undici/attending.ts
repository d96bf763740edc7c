import diagnostics from 'node:diagnostics_channel'
import type net from 'node:net'
import type { Dispatcher } from 'undici'
import type { Connection } from '../http/connection.js'
import { failureOf, judge, keepVerdict } from '../http/stale.js'

type Handler = Dispatcher.DispatchHandler

/** The attempt whose request is being written: undici tells in the same breath on which connection that is. */
let writing: Attempt | undefined
let isListening = false

function listenForConnections(): void {
  if (isListening) return
  isListening = true
  diagnostics.subscribe('undici:client:sendHeaders', (message) => {
    const attempt = writing
    writing = undefined
    attempt?.send((message as { socket: net.Socket }).socket)
  })
}

/** A request on one connection. */
export interface Use {
  readonly connection: Connection
  /** Whether the connection had a request before. */
  readonly isReuse: boolean
  /** How much the peer had acknowledged before. */
  readonly ackedBefore: number
}

/** Hears what becomes of a request. */
export interface RequestListener {
  /**
   * The request goes out on this connection. Not called for HTTP/2 with undici 6.
   *
   * @returns `undefined` if the agent did not open the connection.
   */
  sent(socket: net.Socket): Use | undefined
  /** The server has announced that it closes the connection. */
  closeAnnounced(use: Use): void
  /** The connection was already gone: see {@link judgeStale}. */
  metStale(use: Use): void
  /** The request is sent again for that. */
  repeated(use: Use): void
  /**
   * The request has failed for good.
   *
   * @param isStale whether its connection was already gone.
   */
  failed(isStale: boolean): void
}

/** One sending of a request. */
class Attempt {
  readonly #listener: RequestListener
  use: Use | undefined
  answered = false

  constructor(listener: RequestListener) {
    this.#listener = listener
  }

  send(socket: net.Socket): void {
    this.use = this.#listener.sent(socket)
  }

  answer(headers: unknown): void {
    this.answered = true
    if (this.use && saysClose(headers)) this.#listener.closeAnnounced(this.use)
  }

  begin(): void {
    this.use = undefined
    writing = this
  }

  /** It was called off before anything of it was written. */
  callOff(): void {
    if (writing === this) writing = undefined
  }

  /**
   * Reports its failure.
   *
   * @param mayRepeat whether it may happen twice.
   * @returns whether it is to be repeated.
   */
  fail(error: unknown, mayRepeat: boolean): boolean {
    const { use, answered } = this
    const evidence = use && {
      reused: use.isReuse,
      answered,
      peerClosed: true,
      acknowledged: use.connection.hasAcknowledgedSince(use.ackedBefore),
    }
    const failure = failureOf(error) ?? (isClosed(error) ? 'closed' : undefined)
    const verdict = evidence && judge(failure, evidence)
    if (verdict) keepVerdict(error, verdict)
    const isRepeated = mayRepeat && verdict?.isStaleIfIdempotent === true
    const isStale = isRepeated || verdict?.isStale === true
    if (use && isStale) this.#listener.metStale(use)
    if (use && isRepeated) this.#listener.repeated(use)
    else this.#listener.failed(isStale)
    return isRepeated
  }
}

/** The peer has closed its side, or the HTTP/2 session. */
function isClosed(error: unknown): boolean {
  const { code } = (error ?? {}) as NodeJS.ErrnoException
  return (
    code === 'UND_ERR_SOCKET' || code === 'ERR_HTTP2_GOAWAY_SESSION' || code === 'ERR_HTTP2_STREAM_CANCEL'
  )
}

/** Headers come as an object, or as names and values in turns. */
function saysClose(headers: unknown): boolean {
  const value = Array.isArray(headers)
    ? headers[headers.findIndex((each, i) => i % 2 === 0 && String(each).toLowerCase() === 'connection') + 1]
    : (headers as { connection?: unknown } | undefined)?.connection
  return /\bclose\b/i.test(String(value ?? ''))
}

type Callback = (...args: never[]) => unknown
type Callbacks = Record<string, Callback | undefined>

/** What marks an answer, and what an error, in the handlers of undici 7 and 8, and in those of 6, which 7 takes as well. */
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
 * A handler that tells somebody else as well what becomes of a request.
 *
 * @param repeat has it repeated, with the handler that it was given, where it met a connection that was gone.
 */
export function attending(
  given: Handler,
  listener: RequestListener,
  repeat?: (handler: Handler) => void,
): Handler {
  listenForConnections()
  const inner = given as unknown as Callbacks
  const { begin, answers, headersAt, error, others } =
    typeof inner.onRequestStart === 'function' ? styles.new : styles.legacy
  const attempt = new Attempt(listener)
  const pass =
    (name: string) =>
    (...args: never[]) =>
      inner[name]?.(...args)
  const heard: Callbacks = {}
  heard[begin] = (...args: never[]) => {
    attempt.begin()
    return inner[begin]?.(...withAbortSeen(args, () => attempt.callOff()))
  }
  for (const name of answers) {
    heard[name] = (...args: never[]) => {
      attempt.answer(args[headersAt])
      return inner[name]?.(...args)
    }
  }
  heard[error] = (...args: never[]) => {
    attempt.callOff()
    const isRepeated = attempt.fail(args.at(-1), repeat !== undefined)
    return isRepeated ? repeat?.(given) : inner[error]?.(...args)
  }
  const handler: Callbacks = {}
  for (const name of [begin, ...answers, error, ...others]) {
    // What is missing or no function is left as it is: undici says so.
    const own = inner[name]
    if (own !== undefined) handler[name] = typeof own === 'function' ? (heard[name] ?? pass(name)) : own
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
