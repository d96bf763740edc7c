import type http from 'node:http'
import type net from 'node:net'
import { PeerDeathError } from '../errors.js'
import { tryOr } from '../options/try-or.js'

/** What is known about the connection of a failed request. */
export interface Evidence {
  /** Whether the connection had served a request before. */
  readonly reused: boolean
  /** Whether a part of a response has arrived. */
  readonly answered: boolean
  /** Whether the peer has closed its side (FIN). */
  readonly peerClosed: boolean
  /** Whether the peer's kernel has acknowledged a part of the request; `undefined` if that is not known. */
  readonly acknowledged: boolean | undefined
}

/** Methods of requests that may be sent twice: RFC 9110, 9.2.2. */
export const idempotentMethods: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'PUT',
  'DELETE',
  'TRACE',
])

type Failure = 'reset' | 'closed' | 'timed-out' | undefined

const timeouts: ReadonlySet<string> = new Set([
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
])
const resets: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])

/** How the kernel ended the connection, by the error. Errors that programs and Node create with the same codes have no `errno`. */
export function failureOf(error: unknown): 'reset' | 'timed-out' | undefined {
  // The program may have created the error, with getters that throw.
  const find = () => withCauses(error).find(({ errno }) => typeof errno === 'number')?.code
  const code = String(tryOr(find, undefined))
  if (timeouts.has(code)) return 'timed-out'
  return resets.has(code) ? 'reset' : undefined
}

/**
 * Whether a request was sent on a connection that was already gone: reset, timed out or closed by the peer, without a response and without an
 * acknowledgement. If the peer has acknowledged the request, the connection was not gone: the server had the request and then closed or died.
 *
 * Without an acknowledgement, the server may still have the request. TCP may delay an acknowledgement by 40 ms, and a reset carries none. So a server
 * that reads a request and resets the connection at once looks the same.
 */
export function judgeStale(failure: Failure, { reused, answered, acknowledged }: Evidence): boolean {
  return reused && !answered && failure !== undefined && acknowledged !== true
}

/** The verdict on a failed request. */
export interface Verdict {
  /** Whether its connection was already gone. */
  readonly isStale: boolean
  /**
   * Whether its connection was already gone, if the request may be sent twice. Then a reset is enough, even if the request was acknowledged. If
   * a server closes an idle connection just as a request arrives, its kernel first acknowledges the request and then sends a reset.
   */
  readonly isStaleIfIdempotent: boolean
  /** Counts the retry. Left out if no agent of this package sent the request. */
  readonly retried?: () => void
}

export function judge(failure: Failure, evidence: Evidence, retried?: () => void): Verdict {
  const isStale = judgeStale(failure, evidence)
  const isStaleIfIdempotent =
    isStale || (failure === 'reset' && judgeStale(failure, { ...evidence, acknowledged: undefined }))
  return { isStale, isStaleIfIdempotent, ...(retried && { retried }) }
}

/** The failed requests of this package's agents, by the request. */
const judgedRequests = new WeakMap<object, { readonly error: unknown; readonly verdict: Verdict }>()

/** Their verdicts by the error, because SDKs pass on only the error. */
const judgedErrors = new WeakMap<object, Verdict>()

/** Judges a failed request, and keeps the verdict for {@link isStaleReuse} and {@link retryStale}. */
export function judgeRequest(
  request: http.ClientRequest,
  error: unknown,
  evidence: Evidence,
  retried: () => void,
): Verdict {
  const verdict = judge(failureWith(error, evidence), evidence, retried)
  judgedRequests.set(request, { error, verdict })
  keepVerdict(error, verdict)
  return verdict
}

/** Several requests of an HTTP/2 session may fail with one error. The error counts as stale if it does for each of them. */
export function keepVerdict(error: unknown, verdict: Verdict): void {
  if (!isObject(error)) return
  const before = judgedErrors.get(error)
  judgedErrors.set(error, {
    ...verdict,
    isStale: verdict.isStale && (before?.isStale ?? true),
    isStaleIfIdempotent: verdict.isStaleIfIdempotent && (before?.isStaleIfIdempotent ?? true),
  })
}

function failureWith(error: unknown, { peerClosed }: Evidence): Failure {
  return failureOf(error) ?? (peerClosed && tryOr(() => isHangUp(error), false) ? 'closed' : undefined)
}

/** Node creates this error for a FIN without a response, and for a request that the program has destroyed. */
function isHangUp(error: unknown): boolean {
  const { code, errno } = (error ?? {}) as NodeJS.ErrnoException
  return code === 'ECONNRESET' && errno === undefined && !(error instanceof PeerDeathError)
}

/**
 * Whether a request failed because its connection had been used before and was already gone: closed, reset or dead. The cause is the
 * connection, not the request. So an idempotent request can be repeated at once: {@link retryStale}.
 *
 * `true` does not prove that the server has not read the request. A server that reads it and resets the connection within 40 ms looks the same. Do
 * not use it to repeat a request that must not run twice. Never throws.
 *
 * @param error the error of the request's `'error'` event, or a client library's error with it as `cause`.
 * @param request the request, of any agent, or the wrapper of axios and got. Default: `request` of the error or of its cause. If there is none
 * (AWS SDK, superagent), the error is enough if {@link HttpAgent}, {@link HttpsAgent} or `createAgent` of `deadpeer/undici` sent the request.
 * Only these agents know whether the server has acknowledged the request. With them, a server that has read the request and then died does not
 * count as a stale connection.
 * @example
 * ```ts
 * request.on('error', (error) => (isStaleReuse(error, request) ? again() : fail(error)))
 * axios.get(url, { httpAgent }).catch((error) => (isStaleReuse(error) ? again() : fail(error)))
 * ```
 */
export function isStaleReuse(error: unknown, request?: object | null): boolean {
  return verdictOf(error, request)?.isStale ?? false
}

/** `undefined` if nothing is known, or if a getter or proxy of the program throws while the error or the request is read. */
export function verdictOf(error: unknown, request?: object | null): Verdict | undefined {
  return tryOr(() => findVerdict(error, request), undefined)
}

function findVerdict(error: unknown, request: object | null | undefined): Verdict | undefined {
  const errors = withCauses(error)
  const requests = (isObject(request) ? [request] : errors.map(requestIn)).map(unwrap)
  for (const each of requests) {
    const known = each && judgedRequests.get(each)
    if (known) return sameError(errors, known.error) ? known.verdict : undefined
  }
  for (const each of errors) {
    const verdict = judgedErrors.get(each)
    if (verdict) return verdict
  }
  const sent = requests.find((each) => each !== undefined)
  return sent && judgeForeign(error, sent)
}

type Bag = Record<string, unknown>

/** The most causes that are followed. Client libraries nest fewer; a cycle must end. */
const MOST_CAUSES = 8

function withCauses(error: unknown): Bag[] {
  const errors: Bag[] = []
  for (let each = error; isObject(each) && errors.length < MOST_CAUSES; each = each.cause) errors.push(each)
  return errors
}

function requestIn({ request }: Bag): object | undefined {
  return isObject(request) ? request : undefined
}

/** axios passes on the request of follow-redirects, got its own. Both have Node's request in a property. */
function unwrap(request: object | undefined): object | undefined {
  if (!request) return undefined
  const { _currentRequest, _request } = request as { _currentRequest?: unknown; _request?: unknown }
  return [_currentRequest, _request].find(isObject) ?? request
}

/** The verdict on a request of another agent, by the request's own fields. */
function judgeForeign(error: unknown, request: object): Verdict {
  const { reusedSocket, res, socket } = request as Partial<http.ClientRequest> & { res?: unknown }
  const evidence: Evidence = {
    reused: reusedSocket === true,
    answered: res !== undefined && res !== null,
    peerClosed: (socket as net.Socket | null | undefined)?.readableEnded === true,
    acknowledged: undefined,
  }
  return judge(failureWith(error, evidence), evidence)
}

/** Whether an error is the known one, or has its code. Libraries wrap an error and set `cause`, or copy its code. */
function sameError(errors: readonly object[], known: unknown): boolean {
  const { code } = (known ?? {}) as NodeJS.ErrnoException
  return errors.some((each) => each === known || (each as NodeJS.ErrnoException).code === code)
}

function isObject(value: unknown): value is Bag {
  return typeof value === 'object' && value !== null
}
