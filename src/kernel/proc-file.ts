import { readFileSync } from 'node:fs'
import { DeadpeerError } from '../errors.js'
import type { NativeFailure } from './binding.js'
import { failureError } from './failure.js'

/** Throws if the system is not Linux: only Linux has proc(5). */
export function requireLinux(what: string): void {
  if (process.platform === 'linux') return
  throw new DeadpeerError(
    'ERR_UNSUPPORTED_PLATFORM',
    `${what} needs Linux, because it reads /proc; this system is ${process.platform}.`,
  )
}

/**
 * The text of a file in /proc. `undefined` if the file does not exist, or the process has ended. Reads synchronously: the kernel shows the
 * network namespace of the reading thread, and a thread of libuv's pool may be in another namespace.
 */
export function readProcFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    const { code, errno, syscall } = error as NodeJS.ErrnoException
    // ESRCH and ENXIO: the process or its network namespace ended between opening the file and reading it.
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'ENXIO') return undefined
    if (code === undefined || errno === undefined) throw error
    throw readError(path, { errno, ...(syscall !== undefined && { syscall }) })
  }
}

/** The typed error for a file that the kernel refuses to read. */
export function readError(path: string, failure: NativeFailure): DeadpeerError {
  return failureError(failure, (name, words) => `${path} cannot be read: ${words} (${name}).`)
}
