import { types } from 'node:util'
import { InvalidTypeError } from '../errors.js'
import { tryOr } from '../options/try-or.js'

/**
 * What was thrown, as an error. A getter or a proxy of a target may throw anything, also `undefined` or a revoked proxy, which cannot be looked
 * at. Such a target is one that cannot be read.
 */
export function errorFrom(thrown: unknown): Error {
  if (types.isNativeError(thrown)) return thrown
  const words = tryOr(() => String(thrown), 'a value that cannot be read')
  const error = new InvalidTypeError(`The target cannot be read: reading it threw ${words}.`, {
    field: 'target',
  })
  return Object.defineProperty(error, 'cause', { value: thrown, configurable: true, writable: true })
}
