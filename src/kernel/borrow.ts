import { readFileSync } from 'node:fs'
import { DeadpeerError } from '../errors.js'
import type { NativeCore, NativeDescriptor, NativeFailure } from './binding.js'
import { failureError, orThrow } from './failure.js'
import { decodeOptions, type OptionValues, optionNames } from './socket-options.js'

/**
 * A descriptor of our own for descriptor `fd` of process `pid`: pidfd_getfd(2). The caller gives it back.
 *
 * @throws {@link DeadpeerError} as `borrowSocket` does.
 */
export function borrowDescriptor(core: NativeCore, pid: number, fd: number): NativeDescriptor {
  return orThrow(core.borrow(pid, fd), (failure) => borrowError(failure, pid, fd))
}

/** A socket of another process: the descriptor's number there, and the cookie of the one that is meant. */
export interface OwnedSocket {
  readonly fd: number
  readonly cookie: bigint
}

/**
 * The options of many sockets of one process, in order, or why there are none: `ERR_SOCKET_CLOSED` for a number that is another socket's by
 * now, else as `borrowSocket` has it. Each is borrowed for the microseconds that it takes.
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
  // The kernel mostly refuses all for the same reason, and making an error takes longer than the call.
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
      return ['ESRCH', `${pid} is a thread, no process; pass the id of its process (${name}).`]
    }
    switch (name) {
      case 'ESRCH':
        return `There is no process ${pid} (${name}).`
      case 'ESTALE':
        return [
          'ERR_SOCKET_CLOSED',
          `Process ${pid} has closed the connection that was its descriptor ${fd} (${name}).`,
        ]
      case 'EBADF':
        return `Process ${pid} has no descriptor ${fd} (${name}).`
      case 'ENOTSOCK':
        return ['ERR_NOT_TCP', `${which} is not a socket (${name}).`]
      case 'ENOPROTOOPT':
        return ['ERR_NOT_TCP', `${which} is a socket, but not a TCP one (${name}).`]
      case 'EPERM':
        return `Not permitted to borrow from process ${pid} (${name}). ${remedy(pid)}`
      case 'ENOSYS':
        return (
          `This kernel cannot lend descriptors (${name}). It takes Linux 5.6 or newer, and a sandbox that lets ` +
          'pidfd_open(2) and pidfd_getfd(2) pass.'
        )
      default:
        return `${which} cannot be borrowed: ${words} (${name}).`
    }
  })
}

/** What borrowing takes, and which of that is missing here. */
function remedy(pid: number): string {
  const owner = Number(/^Uid:\s+(\d+)/m.exec(readText(`/proc/${pid}/status`))?.[1])
  const own = process.getuid?.()
  const users =
    Number.isNaN(owner) || own === undefined || owner === own
      ? ''
      : ` (it runs as uid ${owner}, this one as uid ${own})`
  const scope = readText('/proc/sys/kernel/yama/ptrace_scope').trim()
  return (
    `It takes the same user${users}, a process that is dumpable and has no capabilities that this one lacks, and ` +
    `kernel.yama.ptrace_scope 0${scope && ` (it is ${scope} here)`} or the process as one's own child; or else ` +
    'CAP_SYS_PTRACE in its user namespace, and a sandbox that lets pidfd_getfd(2) pass.'
  )
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
