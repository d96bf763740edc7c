import { InvalidTypeError } from '../errors.js'
import { checkOptions, describe, type Options, text, typed } from '../options/check.js'
import { idempotentMethods, verdictOf } from './stale.js'

/** What says that a request may happen twice, for {@link retryStale}. At least one of the two must be given. */
export interface RetryStaleOptions {
  /** The request's method, in any case. GET, HEAD, OPTIONS, PUT, DELETE and TRACE may be repeated (RFC 9110, 9.2.2). */
  method?: string
  /** The key by which the server recognizes a repetition (`Idempotency-Key`, an AWS client token). With it any method may be repeated. */
  idempotencyKey?: string | undefined
}

/**
 * Sends a request, and sends it once more if its connection had been used before and was already gone: see {@link isStaleReuse}. Only
 * requests that may happen twice are repeated: those with an idempotent method, or with an idempotency key. A reset of a reused connection
 * without an answer is enough for those. Every other failure, and a failure of the repetition, is thrown as it is.
 *
 * Works with axios, got and SDKs over {@link HttpAgent} and {@link HttpsAgent}; these open a new connection for the repetition and count it as
 * `retried`. With other agents it needs an error that has the request. Where the client library retries by itself, turn that off: got
 * `retry: { limit: 0 }`.
 *
 * @param send makes the request anew at each call, with its body: a stream that was read cannot be sent again. It returns a promise that
 * rejects with the error.
 * @returns what `send` returns.
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE` for bad arguments, before anything is sent; the error of the request.
 * @example
 * ```ts
 * const { data } = await retryStale(() => axios.get(url, { httpAgent }), { method: 'GET' })
 * await retryStale(() => axios.post(url, order, { httpAgent, headers: { 'Idempotency-Key': order.id } }), { idempotencyKey: order.id })
 * ```
 */
export async function retryStale<Result>(
  send: () => Result,
  options: RetryStaleOptions,
): Promise<Awaited<Result>> {
  const mayRepeat = checkRepeatable(send, options)
  try {
    return await send()
  } catch (error) {
    const verdict = mayRepeat ? verdictOf(error) : undefined
    if (!verdict?.isStaleIfIdempotent) throw error
    verdict.retried?.()
  }
  return await send()
}

/** An empty key, also in quotes, names no request: the server would take the repetition for another one. */
const keyOfRequest = typed(
  'the key of this one request, a string that is not blank',
  (value) => typeof value === 'string' && value.replaceAll('"', '').trim() !== '',
)

const retryOptions: Options<RetryStaleOptions> = {
  of: 'retryStale()',
  example: "{ method: 'GET' }",
  checks: { method: text, idempotencyKey: keyOfRequest },
}

function checkRepeatable(send: unknown, options: RetryStaleOptions): boolean {
  if (typeof send !== 'function') {
    const message = `send must be a function that makes the request, such as () => axios.get(url); got ${describe(send)}.`
    throw new InvalidTypeError(message, { field: 'send' })
  }
  const { method, idempotencyKey } = checkOptions(options, retryOptions)
  if (method === undefined && idempotencyKey === undefined) {
    const message =
      "options has neither method nor idempotencyKey; give the request's method, such as { method: 'GET' }."
    throw new InvalidTypeError(message, { field: 'method' })
  }
  // Client libraries take methods in lower case as well.
  return idempotencyKey !== undefined || idempotentMethods.has((method ?? '').toUpperCase())
}
