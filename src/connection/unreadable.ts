import { types } from 'node:util'
import { InvalidTypeError } from '../errors.js'
import { tryOr } from '../options/try-or.js'

/**
 * Makes an error of a thrown value. A target's getter or proxy may throw anything, including `undefined` or a revoked proxy. Then the error says
 * that the target cannot be read.
 */
export function errorFrom(thrown: unknown): Error {
  if (types.isNativeError(thrown)) return thrown
  const words = tryOr(() => String(thrown), 'a value that cannot be read')
  const error = new InvalidTypeError(`The target cannot be read: reading it threw ${words}.`, {
    field: 'target',
  })
  return Object.defineProperty(error, 'cause', { value: thrown, configurable: true, writable: true })
}
