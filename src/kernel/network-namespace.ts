import { statSync } from 'node:fs'
import { constants } from 'node:os'
import { DeadpeerError, describeErrno } from '../errors.js'
import { checkOptions, type Options, whole } from '../options/check.js'
import { processIds } from '../options/ranges.js'
import type { NativeCore, NativeFailure } from './binding.js'
import { type Explain, failureError, isFailure } from './failure.js'

/** Selects a network namespace. */
export interface NamespaceOptions {
  readonly pid?: number | undefined
}

/** A process id. */
export const processId = whole(processIds)

/**
 * The process whose network namespace an option selects; `undefined` for the caller's.
 *
 * @param of the function that takes the options, such as `readDefaults()`.
 * @throws {@link InvalidTypeError}, {@link OutOfRangeError}.
 */
export function pidOf(options: unknown, of: string): number | undefined {
  const known: Options<NamespaceOptions> = { of, example: '{ pid: 4711 }', checks: { pid: processId } }
  return checkOptions(options, known).pid
}

/** The native core's `pid` for the caller's own network namespace. */
export const OWN_NAMESPACE = 0

/** Whether a failure comes from entering another process's network namespace. */
export function isEntryRefusal({ syscall }: NativeFailure): boolean {
  return syscall !== undefined && ['open', 'fstat', 'pthread_create', 'setns'].includes(syscall)
}

/** The typed error if the network namespace of process `pid` could not be entered. */
export function entryError(failure: NativeFailure, pid: number): DeadpeerError {
  const which = `the network namespace of process ${pid}`
  const { name } = describeErrno(failure.errno)
  const isGone = name === 'ENOENT' || name === 'ESRCH'
  const explain: Explain = (_, words) => {
    if (isGone) return ['ESRCH', `There is no process ${pid} (${name}), or proc hides it (hidepid).`]
    if (failure.syscall === 'open' && (name === 'EACCES' || name === 'EPERM')) {
      return `This process may not look up ${which} (${name}). Run as the same user, if that process is dumpable, or with CAP_SYS_PTRACE.`
    }
    if (failure.syscall === 'setns' && name === 'EPERM') {
      return `This process may not enter ${which} (${name}). Run with CAP_SYS_ADMIN, both here and in that namespace.`
    }
    return `The kernel refused to enter ${which}: ${words} (${name}).`
  }
  return failureError(failure, explain, { field: 'pid', ...(isGone && { errno: -constants.errno.ESRCH }) })
}

/** Whether the error says that a network namespace may not be entered. */
export function mayNotEnter(error: unknown): boolean {
  return error instanceof DeadpeerError && error.syscall === 'setns' && error.code === 'EPERM'
}

/**
 * Whether a process is in another network namespace than this thread. `false` if there is no such process. It compares the inodes of
 * /proc/net/snmp: the kernel has one such file for each namespace. That needs no permission; /proc/<pid>/ns/net needs that of ptrace(2).
 */
export function isInOtherNamespace(pid: number): boolean {
  const inodeOf = (task: string) => statSync(`/proc/${task}/net/snmp`, { throwIfNoEntry: false })?.ino
  try {
    const theirs = inodeOf(String(pid))
    const ours = inodeOf('thread-self')
    return theirs !== undefined && ours !== undefined && theirs !== ours
  } catch {
    return false
  }
}

/**
 * The cookie of a socket's network namespace. `undefined` before Linux 5.14, which does not report it: callers then assume this process's
 * namespace.
 */
export function networkOf(core: NativeCore, fd: number): bigint | NativeFailure | undefined {
  const cookie = core.readNetworkCookie(fd)
  return isFailure(cookie) && cookie.errno === -constants.errno.ENOPROTOOPT ? undefined : cookie
}
