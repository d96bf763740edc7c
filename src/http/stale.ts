import type http from 'node:http'
import type net from 'node:net'
import { PeerDeathError } from '../errors.js'
import { tryOr } from '../options/try-or.js'

/** What is known of the connection of a failed request. */
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

/** Methods of requests that may happen twice: RFC 9110, 9.2.2. */
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

/** What the kernel reported by an error. Errors that programs and Node make under the same names have no `errno`. */
export function failureOf(error: unknown): 'reset' | 'timed-out' | undefined {
  // The program may have made the error, with getters that throw.
  const find = () => withCauses(error).find(({ errno }) => typeof errno === 'number')?.code
  const code = String(tryOr(find, undefined))
  if (timeouts.has(code)) return 'timed-out'
  return resets.has(code) ? 'reset' : undefined
}

/**
 * Whether a request met a connection that was already gone: reset, given up, or closed by the peer, without an answer and without an
 * acknowledgement. If the peer acknowledges the request, it was there: a server that closes after that had the request, and chose not to answer
 * it or died.
 *
 * The opposite does not prove that the server had nothing. An acknowledgement can be delayed by 40 ms, and a reset does not carry it: a server
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
   * The same for a request that may happen twice: a reset counts whether the request was acknowledged or not. A server that closes an idle
   * connection just as a request arrives resets it, after its kernel has acknowledged the request.
   */
  readonly isStaleIfIdempotent: boolean
  /** Counts that it is sent again. Absent if it was not sent by an agent of this package. */
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

/** The same by their errors, because an SDK passes on the error alone. */
const judgedErrors = new WeakMap<object, Verdict>()

/** Judges a request that is failing, and keeps that for {@link isStaleReuse} and {@link retryStale}. */
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

/** Several requests may fail with one error: those of an HTTP/2 session. It is stale if it was for each of them. */
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

/** Node reports a FIN instead of an answer like this, and also a request that the program has destroyed. */
function isHangUp(error: unknown): boolean {
  const { code, errno } = (error ?? {}) as NodeJS.ErrnoException
  return code === 'ECONNRESET' && errno === undefined && !(error instanceof PeerDeathError)
}

/**
 * Whether a request failed because its connection had been used before and was already gone: closed, reset or dead. Such a failure says
 * nothing about the request, and a request that may be repeated can be repeated at once: {@link retryStale}.
 *
 * `true` does not prove that the server has seen nothing of the request: a server that reads it and breaks off within 40 ms looks the same.
 * Do not use it to repeat a request that must not happen twice. Never throws.
 *
 * @param error what the request's `'error'` event reported, or what a client library made of it: its `cause` is looked at.
 * @param request the request, of any agent; also the wrapped one of axios and got. Default: the `request` of the error or of its cause. Without
 * a request (AWS SDK, superagent) the error is enough if {@link HttpAgent}, {@link HttpsAgent} or `createAgent` of `deadpeer/undici` sent the
 * request. These agents know whether the server had acknowledged the request, and so recognize a server that read it and died. Of other agents
 * that is not known.
 * @example
 * ```ts
 * request.on('error', (error) => (isStaleReuse(error, request) ? again() : fail(error)))
 * axios.get(url, { httpAgent }).catch((error) => (isStaleReuse(error) ? again() : fail(error)))
 * ```
 */
export function isStaleReuse(error: unknown, request?: object | null): boolean {
  return verdictOf(error, request)?.isStale ?? false
}

/** `undefined` if nothing is known, also if the error or the request cannot be read: a getter or a proxy of the program throws. */
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
  return sent && judgeByLooks(error, sent)
}

type Bag = Record<string, unknown>

/** Client libraries nest fewer, and a cycle must end. */
const MOST_CAUSES = 8

function withCauses(error: unknown): Bag[] {
  const errors: Bag[] = []
  for (let each = error; isObject(each) && errors.length < MOST_CAUSES; each = each.cause) errors.push(each)
  return errors
}

function requestIn({ request }: Bag): object | undefined {
  return isObject(request) ? request : undefined
}

/** axios hands out the request of follow-redirects, got its own. Both keep Node's in a property. */
function unwrap(request: object | undefined): object | undefined {
  if (!request) return undefined
  const { _currentRequest, _request } = request as { _currentRequest?: unknown; _request?: unknown }
  return [_currentRequest, _request].find(isObject) ?? request
}

/** A request of another agent. */
function judgeByLooks(error: unknown, request: object): Verdict {
  const { reusedSocket, res, socket } = request as Partial<http.ClientRequest> & { res?: unknown }
  const evidence: Evidence = {
    reused: reusedSocket === true,
    answered: res !== undefined && res !== null,
    peerClosed: (socket as net.Socket | null | undefined)?.readableEnded === true,
    acknowledged: undefined,
  }
  return judge(failureWith(error, evidence), evidence)
}

/** Libraries wrap the error, and say so by `cause`; or copy its code. */
function sameError(errors: readonly object[], known: unknown): boolean {
  const { code } = (known ?? {}) as NodeJS.ErrnoException
  return errors.some((each) => each === known || (each as NodeJS.ErrnoException).code === code)
}

function isObject(value: unknown): value is Bag {
  return typeof value === 'object' && value !== null
}
