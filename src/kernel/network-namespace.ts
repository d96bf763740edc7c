import { statSync } from 'node:fs'
import { constants } from 'node:os'
import { DeadpeerError, describeErrno, InvalidTypeError, OutOfRangeError } from '../errors.js'
import type { NativeCore, NativeFailure } from './binding.js'

const HIGHEST_PID = 2 ** 31 - 1

/**
 * A process id as a caller gave it; `undefined` where he gave none.
 *
 * @throws {@link InvalidTypeError}, {@link OutOfRangeError}.
 */
export function checkPid(pid: unknown): number | undefined {
  if (pid === undefined) return undefined
  if (typeof pid !== 'number') {
    throw new InvalidTypeError(`pid is of type ${typeof pid}; it must be a number.`, { field: 'pid' })
  }
  if (!Number.isInteger(pid) || pid < 1 || pid > HIGHEST_PID) {
    throw new OutOfRangeError(`pid is ${pid}; it must be a whole number from 1 to 2 147 483 647.`, {
      field: 'pid',
    })
  }
  return pid
}

/** What the native core takes for the caller's own network namespace. */
export const OWN_NAMESPACE = 0

/** Whether the kernel refused a call on the way into another process's network namespace. */
export function isEntryRefusal({ syscall }: NativeFailure): boolean {
  return syscall !== undefined && ['open', 'fstat', 'pthread_create', 'setns'].includes(syscall)
}

/** The typed error where the network namespace of process `pid` could not be entered. */
export function entryError({ errno, syscall }: NativeFailure, pid: number): DeadpeerError {
  const { name, words } = describeErrno(errno)
  const details = { field: 'pid', errno, ...(syscall !== undefined && { syscall }) }
  const which = `the network namespace of process ${pid}`
  if (name === 'ENOENT' || name === 'ESRCH') {
    return new DeadpeerError('ESRCH', `There is no process ${pid} (${name}), or proc hides it.`, {
      ...details,
      errno: -constants.errno.ESRCH,
    })
  }
  if (syscall === 'open' && (name === 'EACCES' || name === 'EPERM')) {
    return new DeadpeerError(
      name,
      `Not permitted to look up ${which} (${name}): it takes the same user and a dumpable process, or CAP_SYS_PTRACE.`,
      details,
    )
  }
  if (syscall === 'setns' && name === 'EPERM') {
    return new DeadpeerError(
      name,
      `Not permitted to enter ${which} (${name}): it takes CAP_SYS_ADMIN, both here and over that namespace.`,
      details,
    )
  }
  return new DeadpeerError(name, `Cannot enter ${which}: ${words} (${name}).`, details)
}

/** Whether the error says that a network namespace may not be entered. */
export function mayNotEnter(error: unknown): boolean {
  return error instanceof DeadpeerError && error.syscall === 'setns' && error.code === 'EPERM'
}

/**
 * Whether a process is in another network namespace than this thread. Needs no permission, while /proc/<pid>/ns/net takes that of ptrace(2):
 * the kernel makes the files of /proc/net once for each namespace, so their inodes differ. False where there is no such process.
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
 * Which network namespace a socket is in, by its cookie. `undefined` where the kernel does not tell, before Linux 5.14: the namespace of
 * this process is taken then. -errno for what is no socket.
 */
export function networkOf(core: NativeCore, fd: number): bigint | number | undefined {
  const cookie = core.readNetworkCookie(fd)
  return cookie === -constants.errno.ENOPROTOOPT ? undefined : cookie
}
