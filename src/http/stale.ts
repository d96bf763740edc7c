import type http from 'node:http'
import type net from 'node:net'
import { PeerDeathError } from '../errors.js'

/** What is known of a request's connection when the request has failed. */
export interface Evidence {
  /** Whether the connection had served a request before. */
  readonly reused: boolean
  /** Whether anything of a response has come. */
  readonly answered: boolean
  /** Whether the peer has closed its side (FIN). */
  readonly peerClosed: boolean
  /** Whether the peer's kernel has acknowledged anything of the request; `undefined` where nobody knows. */
  readonly acknowledged: boolean | undefined
}

type Failure = 'reset' | 'closed' | 'timed-out' | undefined

/** The kernel's own errors, and ours, but not those of the same name that programs make. */
const timeouts: ReadonlySet<string> = new Set([
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
])
const resets: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])

/** What the kernel said of a connection by an error: not one of those that programs and Node make under the same names. */
export function failureOf(error: unknown): 'reset' | 'timed-out' | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { code = '', errno, cause } = error as NodeJS.ErrnoException & { cause?: unknown }
  if (typeof errno !== 'number') return failureOf(cause)
  if (timeouts.has(code)) return 'timed-out'
  return resets.has(code) ? 'reset' : undefined
}

/**
 * Whether a request met a connection that was already gone: reset, given up, or closed by the peer, without an answer and without an
 * acknowledgement of any of it. Who acknowledges was there: a server that closes after that had the request, and chose not to answer it or died.
 *
 * The other way round it is no proof. An acknowledgement may wait for 40 ms, and a reset does not carry it: a server that reads a request and
 * breaks off at once looks the same.
 */
export function judgeStale(failure: Failure, { reused, answered, acknowledged }: Evidence): boolean {
  return reused && !answered && failure !== undefined && acknowledged !== true
}

/** What a failed request of our agents left behind, taken down when it failed. */
const judged = new WeakMap<http.ClientRequest, { readonly error: unknown; readonly stale: boolean }>()

/** Judges a request that is failing, and keeps that for {@link isStaleReuse}. */
export function judgeRequest(request: http.ClientRequest, error: unknown, evidence: Evidence): boolean {
  const stale = judgeStale(failureWith(error, evidence), evidence)
  judged.set(request, { error, stale })
  return stale
}

function failureWith(error: unknown, { peerClosed }: Evidence): Failure {
  return failureOf(error) ?? (peerClosed && isHangUp(error) ? 'closed' : undefined)
}

/** What Node makes of a FIN in place of an answer; also where the program has destroyed the request. */
function isHangUp(error: unknown): boolean {
  const { code, errno } = (error ?? {}) as NodeJS.ErrnoException
  return code === 'ECONNRESET' && errno === undefined && !(error instanceof PeerDeathError)
}

/**
 * Whether a request failed because the connection that it was to use again was already gone: closed, reset or dead. Such a failure
 * says nothing of the request; whoever may repeat it can do so at once. It is no proof that the server has seen nothing of it: one that
 * reads a request and breaks off within 40 ms looks the same. What must not happen twice must not be repeated for this.
 *
 * @param error what the request's `'error'` event told, or what a client library made of it (its `cause` is looked at).
 * @param request of any agent. Of {@link HttpAgent} and {@link HttpsAgent} it is known whether the server had acknowledged the request,
 * and so a server that read it and died is told apart; of others it is not.
 * @example
 * ```ts
 * request.on('error', (error) => (isStaleReuse(error, request) ? again() : fail(error)))
 * ```
 */
export function isStaleReuse(error: unknown, request: http.ClientRequest): boolean {
  const known = judged.get(request)
  if (known) return known.stale && sameError(error, known.error)
  const socket = request.socket as net.Socket | null
  const { res } = request as http.ClientRequest & { res?: http.IncomingMessage | null }
  const evidence: Evidence = {
    reused: request.reusedSocket === true,
    answered: res !== undefined && res !== null,
    peerClosed: socket?.readableEnded === true,
    acknowledged: undefined,
  }
  return judgeStale(failureWith(error, evidence), evidence)
}

/** Libraries wrap the error, and say so by `cause`; or copy its code. */
function sameError(error: unknown, known: unknown): boolean {
  if (error === known) return true
  if (typeof error !== 'object' || error === null) return false
  const { cause, code } = error as NodeJS.ErrnoException & { cause?: unknown }
  return (cause !== undefined && sameError(cause, known)) || code === (known as NodeJS.ErrnoException).code
}
