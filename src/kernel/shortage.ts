import { describeErrno } from '../errors.js'

const shortages: readonly unknown[] = ['EAGAIN', 'EINTR', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']

/**
 * Whether a call failed because this process or the system was short of something at that moment. The same call may succeed the
 * next time.
 */
export function isShortage(error: object): boolean {
  return 'code' in error && shortages.includes(error.code)
}

const TRIES = 3

/** Tries a call that returns -errno or something else again at once where it failed for a shortage, three times in all. */
export function persist<T>(call: () => T | number): T | number {
  let result = call()
  for (let i = 1; i < TRIES && typeof result === 'number' && isShortErrno(result); i++) result = call()
  return result
}

export function isShortErrno(errno: number): boolean {
  return errno < 0 && isShortage({ code: describeErrno(errno).name })
}
