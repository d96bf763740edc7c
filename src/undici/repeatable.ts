import { types } from 'node:util'
import type { Dispatcher } from 'undici'
import { idempotentMethods } from '../http/stale.js'
import { tryOr } from '../options/try-or.js'

type Options = Dispatcher.DispatchOptions

/** Whether a request may happen twice, and the same request can be sent twice: its headers and its body are still available. */
export function isRepeatable(options: Options): boolean {
  // undici reports what is wrong with headers that cannot be read.
  return tryOr(() => judge(options), false)
}

function judge(options: Options): boolean {
  const { method, body, headers, upgrade, idempotent: said } = options
  if (upgrade || said === false || !isAtHand(body) || !canBeReadTwice(headers)) return false
  return idempotentMethods.has(method) || hasIdempotencyKey(headers)
}

function isAtHand(body: unknown): boolean {
  return body === null || body === undefined || typeof body === 'string' || body instanceof Uint8Array
}

/**
 * Whether headers are the same each time that they are read: those in an array, a Map, an object of the class Headers, or an object without an
 * iterator and without getters. Any other iterable may be used up by the first request, as `headers.entries()` and a generator are. It is not
 * read here: what is read here would be missing from the request.
 */
function canBeReadTwice(headers: unknown): boolean {
  if (headers === null || headers === undefined) return true
  if (typeof headers !== 'object' || types.isProxy(headers)) return false
  if (Array.isArray(headers) || types.isMap(headers) || isHeaders(headers)) return true
  if (Symbol.iterator in headers) return false
  return Object.values(Object.getOwnPropertyDescriptors(headers)).every(({ get }) => get === undefined)
}

/** Of Node, or of any copy of undici. */
function isHeaders(headers: object): boolean {
  return Object.prototype.toString.call(headers) === '[object Headers]'
}

/** Headers come as an object, as names and values in turns, or as pairs. The key counts only if it is not blank. */
function hasIdempotencyKey(headers: unknown): boolean {
  const keys = pairsIn(headers).flatMap(([name, value]) =>
    String(name).toLowerCase() === 'idempotency-key' && value !== undefined ? [value].flat() : [],
  )
  return keys.length > 0 && keys.every(isKey)
}

function pairsIn(headers: unknown): (readonly [name: unknown, value: unknown])[] {
  if (typeof headers !== 'object' || headers === null) return []
  if (!Array.isArray(headers)) {
    const pairs = Symbol.iterator in headers ? (headers as Iterable<unknown>) : Object.entries(headers)
    return [...pairs].filter(isPair)
  }
  return headers.flatMap((each, i) => {
    if (isPair(each)) return [each]
    return i % 2 === 0 && !Array.isArray(each) ? [[each, headers[i + 1]] as const] : []
  })
}

function isPair(each: unknown): each is readonly [name: unknown, value: unknown] {
  return Array.isArray(each)
}

/** An empty one, also in quotes, names no request: the server would not recognise the repetition. */
function isKey(value: unknown): boolean {
  if (value instanceof Uint8Array) return isKey(Buffer.from(value).toString('latin1'))
  if (typeof value === 'number' || typeof value === 'bigint') return true
  return typeof value === 'string' && value.replaceAll('"', '').trim() !== ''
}
