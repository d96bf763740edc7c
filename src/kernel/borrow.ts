import { readFileSync } from 'node:fs'
import { DeadpeerError } from '../errors.js'
import type { NativeCore, NativeDescriptor, NativeFailure } from './binding.js'
import { failureError, orThrow } from './failure.js'
import { decodeOptions, type OptionValues, optionNames } from './socket-options.js'

/**
 * Duplicates descriptor `fd` of process `pid` into this process: pidfd_getfd(2). The caller must give it back.
 *
 * @throws {@link DeadpeerError} as `borrowSocket` does.
 */
export function borrowDescriptor(core: NativeCore, pid: number, fd: number): NativeDescriptor {
  return orThrow(core.borrow(pid, fd), (failure) => borrowError(failure, pid, fd))
}

/** A socket of another process: its descriptor there, and its cookie. */
export interface OwnedSocket {
  readonly fd: number
  readonly cookie: bigint
}

/**
 * The options of many sockets of one process, in order, or an error for each that could not be read: `ERR_SOCKET_CLOSED` if the descriptor is
 * another socket now, otherwise an error as of `borrowSocket`. Each socket is borrowed for microseconds.
 */
export function readOptionsOf(
  core: NativeCore,
  pid: number,
  sockets: readonly OwnedSocket[],
): (OptionValues | DeadpeerError)[] {
  const values = new Float64Array(sockets.length * optionNames.length)
  const fds = Int32Array.from(sockets, ({ fd }) => fd)
  const cookies = BigUint64Array.from(sockets, ({ cookie }) => cookie)
  const failures = new Map(
    core.readOptionsOf(pid, fds, cookies, values)?.map((failure) => [failure.index, failure]),
  )
  // Usually the kernel refuses all for the same reason, and creating an error takes longer than the call.
  const errors = new Map<string, DeadpeerError>()
  return sockets.map(({ fd }, i) => {
    const failure = failures.get(i)
    if (!failure) return decodeOptions(values, i * optionNames.length)
    const kind = `${failure.errno} ${failure.syscall}`
    const error = errors.get(kind) ?? borrowError(failure, pid, fd)
    errors.set(kind, error)
    return error
  })
}

/** Whether an error shows that the owner has closed the socket, or has ended. */
export function showsOwnerGone(error: unknown): boolean {
  return error instanceof DeadpeerError && ['ESRCH', 'EBADF', 'ERR_NOT_TCP'].includes(error.code)
}

function borrowError(failure: NativeFailure, pid: number, fd: number): DeadpeerError {
  const which = `Descriptor ${fd} of process ${pid}`
  return failureError(failure, (name, words) => {
    if (failure.syscall === 'pidfd_open' && (name === 'EINVAL' || name === 'ENOENT')) {
      return ['ESRCH', `pid must be the id of a process; ${pid} is the id of a thread (${name}).`]
    }
    switch (name) {
      case 'ESRCH':
        return `There is no process ${pid} (${name}).`
      case 'ESTALE':
        return [
          'ERR_SOCKET_CLOSED',
          `Process ${pid} has closed the connection on its descriptor ${fd} (${name}).`,
        ]
      case 'EBADF':
        return `Process ${pid} has no descriptor ${fd} (${name}).`
      case 'ENOTSOCK':
        return ['ERR_NOT_TCP', `${which} is not a socket (${name}).`]
      case 'ENOPROTOOPT':
        return ['ERR_NOT_TCP', `${which} is not a TCP socket (${name}).`]
      case 'EPERM':
        return `This process may not borrow descriptors of process ${pid} (${name}). ${remedy(pid)}`
      case 'ENOSYS':
        return (
          `Borrowing is not available here (${name}). It needs Linux 5.6 or newer, and a sandbox that allows ` +
          'pidfd_open(2) and pidfd_getfd(2).'
        )
      default:
        return `${which} cannot be borrowed: ${words} (${name}).`
    }
  })
}

/** The permissions that borrowing needs, and which of them are missing here. */
function remedy(pid: number): string {
  const owner = Number(/^Uid:\s+(\d+)/m.exec(readText(`/proc/${pid}/status`))?.[1])
  const own = process.getuid?.()
  const users =
    Number.isNaN(owner) || own === undefined || owner === own
      ? ''
      : ` (it runs as uid ${owner}, this process as uid ${own})`
  const scope = readText('/proc/sys/kernel/yama/ptrace_scope').trim()
  return (
    `Either run as the same user${users}: then the process must be dumpable, must not have capabilities that this process lacks, and ` +
    `must be a child of this process unless kernel.yama.ptrace_scope is 0${scope && ` (here it is ${scope})`}. Or run with ` +
    'CAP_SYS_PTRACE in its user namespace. A sandbox must allow pidfd_getfd(2).'
  )
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
