import { InvalidTypeError } from '../errors.js'
import { checkOptions, describe, type Options, text, typed } from '../options/check.js'
import { idempotentMethods, verdictOf } from './stale.js'

/** Tells {@link retryStale} whether the request may be sent twice. At least one of the two is required. */
export interface RetryStaleOptions {
  /** The request's method, in upper or lower case. GET, HEAD, OPTIONS, PUT, DELETE and TRACE may be repeated (RFC 9110, 9.2.2). */
  method?: string
  /** The key by which the server recognizes a repeated request (`Idempotency-Key`, an AWS client token). With a key, any method may be repeated. */
  idempotencyKey?: string | undefined
}

/**
 * Sends a request, and repeats it once if its connection had been used before and was already gone: see {@link isStaleReuse}. It repeats only
 * requests with an idempotent method or an idempotency key. For those, a reset of a reused connection without a response is enough. It rejects with
 * any other error, and with the error of the second attempt.
 *
 * Works with axios, got and SDKs that use {@link HttpAgent} or {@link HttpsAgent}. These agents open a new connection for the second attempt and
 * count it as `retried`. With other agents, the error must have the request. Turn off retries of the client library: got `retry: { limit: 0 }`.
 *
 * @param send makes a new request at each call, with its body: a stream that was read cannot be sent again. It must return a promise that
 * rejects with the error.
 * @returns the result of `send`.
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

/** With an empty key, also in quotes, the server would not recognize the repeated request. */
const keyOfRequest = typed(
  'a string that is not blank and identifies this request',
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
      "The options of retryStale() must have method or idempotencyKey; got neither. Pass the request's method, such as { method: 'GET' }."
    throw new InvalidTypeError(message, { field: 'method' })
  }
  // Client libraries also accept methods in lower case.
  return idempotencyKey !== undefined || idempotentMethods.has((method ?? '').toUpperCase())
}
