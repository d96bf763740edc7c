import type { Dispatcher } from 'undici'
import { idempotentMethods } from '../http/stale.js'

type Options = Dispatcher.DispatchOptions

/** Whether a request may happen twice, and its body is still available. */
export function isRepeatable(options: Options): boolean {
  const { method, body, upgrade, idempotent: said } = options
  if (upgrade || said === false || !isAtHand(body)) return false
  return idempotentMethods.has(method) || hasIdempotencyKey(options.headers)
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
