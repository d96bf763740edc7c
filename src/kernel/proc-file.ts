import { readFileSync } from 'node:fs'
import { DeadpeerError } from '../errors.js'
import type { NativeFailure } from './binding.js'
import { failureError } from './failure.js'

/** Throws where there is no Linux, and so no proc(5). */
export function requireLinux(what: string): void {
  if (process.platform === 'linux') return
  throw new DeadpeerError(
    'ERR_UNSUPPORTED_PLATFORM',
    `${what} reads /proc, which only Linux has, not ${process.platform}.`,
  )
}

/**
 * The text of a file in /proc. `undefined` without such a file, and for a process that has ended. It reads synchronously, because the kernel
 * answers for the network namespace of the thread that reads, which a thread of the pool may not share.
 */
export function readProcFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    const { code, errno, syscall } = error as NodeJS.ErrnoException
    // ESRCH and ENXIO: the process, or its network namespace, went away between finding the file and reading it.
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'ENXIO') return undefined
    if (code === undefined || errno === undefined) throw error
    throw readError(path, { errno, ...(syscall !== undefined && { syscall }) })
  }
}

/** The typed error for a file that the kernel does not let us read. */
export function readError(path: string, failure: NativeFailure): DeadpeerError {
  return failureError(failure, (name, words) => `${path} cannot be read: ${words} (${name}).`)
}
