import { types } from 'node:util'
import type { Dispatcher } from 'undici'
import { idempotentMethods } from '../http/stale.js'
import { tryOr } from '../options/try-or.js'

type Options = Dispatcher.DispatchOptions

/** Whether a request may be sent twice, and can be: its headers and its body are still available. */
export function isRepeatable(options: Options): boolean {
  // undici reports headers that cannot be read.
  return tryOr(() => judge(options), false)
}

function judge(options: Options): boolean {
  const { method, body, headers, upgrade, idempotent } = options
  if (upgrade || idempotent === false || !isInMemory(body) || !canBeReadTwice(headers)) return false
  return idempotentMethods.has(method) || hasIdempotencyKey(headers)
}

function isInMemory(body: unknown): boolean {
  return body === null || body === undefined || typeof body === 'string' || body instanceof Uint8Array
}

/**
 * Whether headers are the same each time they are read: an array, a Map, a Headers object, or an object without an iterator and without
 * getters. The first request may consume any other iterable, such as `headers.entries()` or a generator. It is not read here: what is read
 * here would be missing in the request.
 */
function canBeReadTwice(headers: unknown): boolean {
  if (headers === null || headers === undefined) return true
  if (typeof headers !== 'object' || types.isProxy(headers)) return false
  if (Array.isArray(headers) || types.isMap(headers) || isHeaders(headers)) return true
  if (Symbol.iterator in headers) return false
  return Object.values(Object.getOwnPropertyDescriptors(headers)).every(({ get }) => get === undefined)
}

/** Whether it is a Headers object of Node or of any copy of undici. */
function isHeaders(headers: object): boolean {
  return Object.prototype.toString.call(headers) === '[object Headers]'
}

/** Headers are an object, an array of names and values in turn, or pairs. A blank key does not count. */
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

/** With an empty key, also in quotes, the server would not recognize the repeated request. */
function isKey(value: unknown): boolean {
  if (value instanceof Uint8Array) return isKey(Buffer.from(value).toString('latin1'))
  if (typeof value === 'number' || typeof value === 'bigint') return true
  return typeof value === 'string' && value.replaceAll('"', '').trim() !== ''
}
