import { readFileSync } from 'node:fs'
import { DeadpeerError, describeErrno } from '../errors.js'
import type { FailedCall, NativeCore, NativeDescriptor } from './binding.js'
import { decodeOptions, type OptionValues, optionNames } from './options.js'

/**
 * A descriptor of our own for descriptor `fd` of process `pid`: pidfd_getfd(2). The caller gives it back.
 *
 * @throws {@link DeadpeerError} as `borrowSocket` does.
 */
export function borrowDescriptor(core: NativeCore, pid: number, fd: number): NativeDescriptor {
  const borrowed = core.borrow(pid, fd)
  if ('errno' in borrowed) throw borrowError(borrowed, pid, fd)
  return borrowed.borrowed
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
  const failures = new Int32Array(sockets.length)
  const calls = new Int32Array(sockets.length)
  const fds = Int32Array.from(sockets, ({ fd }) => fd)
  core.readOptionsOf(
    pid,
    fds,
    BigUint64Array.from(sockets, ({ cookie }) => cookie),
    values,
    failures,
    calls,
  )
  // What is refused of one is mostly refused of all, and to say why takes longer than to be refused.
  const errors = new Map<string, DeadpeerError>()
  return sockets.map(({ fd }, i) => {
    const failed: FailedCall = { errno: failures[i]!, call: calls[i]! }
    if (failed.errno === 0) return decodeOptions(values, i * optionNames.length)
    const kind = `${failed.errno} ${failed.call}`
    const error = errors.get(kind) ?? borrowError(failed, pid, fd)
    errors.set(kind, error)
    return error
  })
}

/** Whether it follows that a socket which was there has been closed by its owner, or has ended with it. */
export function showsOwnerGone(error: unknown): boolean {
  return error instanceof DeadpeerError && ['ESRCH', 'EBADF', 'ERR_NOT_TCP'].includes(error.code)
}

/** In the order of the native core's calls. */
const systemCalls = ['pidfd_open', 'pidfd_getfd', 'getsockopt']

function borrowError({ errno, call }: FailedCall, pid: number, fd: number): DeadpeerError {
  const syscall = systemCalls[call]!
  const { name, words } = describeErrno(errno)
  if (syscall === 'pidfd_open' && (name === 'EINVAL' || name === 'ENOENT')) {
    return refused('ESRCH', `${pid} is a thread, no process; pass the id of its process`)
  }
  switch (name) {
    case 'ESRCH':
      return refused(name, `There is no process ${pid}`)
    case 'ESTALE':
      return refused(
        'ERR_SOCKET_CLOSED',
        `Process ${pid} has closed the connection that was its descriptor ${fd}`,
      )
    case 'EBADF':
      return refused(name, `Process ${pid} has no descriptor ${fd}`)
    case 'ENOTSOCK':
      return refused('ERR_NOT_TCP', `Descriptor ${fd} of process ${pid} is not a socket`)
    case 'ENOPROTOOPT':
      return refused('ERR_NOT_TCP', `Descriptor ${fd} of process ${pid} is a socket, but not a TCP one`)
    case 'EPERM':
      return refused(name, `Not permitted to borrow from process ${pid}`, remedy(pid))
    case 'ENOSYS':
      return refused(
        name,
        'This kernel cannot lend descriptors',
        'It takes Linux 5.6 or newer, and a sandbox that lets pidfd_open(2) and pidfd_getfd(2) pass.',
      )
    default:
      return refused(name, `Descriptor ${fd} of process ${pid} cannot be borrowed: ${words}`)
  }

  function refused(code: string, what: string, more = ''): DeadpeerError {
    return new DeadpeerError(code, `${what} (${name}).${more && ` ${more}`}`, { errno, syscall })
  }
}

/** What would permit it, and what of that is not so here. */
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
