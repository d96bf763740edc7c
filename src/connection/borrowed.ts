import { DeadpeerError, InvalidTypeError } from '../errors.js'
import { type NativeCore, type NativeDescriptor, requireCore } from '../kernel/binding.js'
import { borrowDescriptor, showsOwnerGone } from '../kernel/borrow.js'
import { descriptorError, orThrow } from '../kernel/failure.js'
import { readStartTime } from '../kernel/processes.js'

/**
 * A connection of another process, as {@link borrowSocket} found it.
 *
 * A descriptor in this process is a second reference to the connection: while it is open, the owner's `close()` sends no FIN. So nothing is held
 * between calls. Each call borrows a descriptor, checks that it is the same connection, and closes the descriptor before it returns.
 */
export class BorrowedSocket {
  /** The process that owns it. */
  readonly pid: number
  /** Its descriptor's number in that process. */
  readonly fd: number
  /** `SO_COOKIE`, socket(7): unique to this connection for as long as the system runs. */
  readonly cookie: bigint

  readonly #core: NativeCore
  readonly #started: number | undefined
  #closed = false

  /** @internal Only {@link borrowSocket} calls it. */
  constructor(core: NativeCore, pid: number, fd: number) {
    this.#core = core
    this.pid = pid
    this.fd = fd
    const held = borrowDescriptor(core, pid, fd)
    this.cookie = this.#giveBackAfter(held, (number) => this.#cookieOf(number))
    // Read last. If the process has just ended, this is the start time of the next process with that id, and its EPERM is reported.
    this.#started = readStartTime(pid)
  }

  /**
   * Runs a synchronous function on a descriptor for the connection. The descriptor is always closed afterwards.
   *
   * @internal
   */
  use<T>(run: (fd: number) => T): T {
    if (this.#closed)
      throw new DeadpeerError(
        'ERR_SOCKET_CLOSED',
        'This BorrowedSocket is closed. Call borrowSocket() again.',
      )
    return this.#giveBackAfter(this.#borrowAgain(), (number) => {
      if (this.#cookieOf(number) !== this.cookie) throw this.#gone()
      return run(number)
    })
  }

  /** Ends the use of this object. The connection is not affected. */
  close(): void {
    this.#closed = true
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #borrowAgain(): NativeDescriptor {
    try {
      return borrowDescriptor(this.#core, this.pid, this.fd)
    } catch (error) {
      throw showsOwnerGone(error) || this.#isAnothers(error) ? this.#gone(error) : error
    }
  }

  /** Whether the process id now belongs to another process. */
  #isAnothers(error: unknown): boolean {
    if (!(error instanceof DeadpeerError && error.code === 'EPERM')) return false
    const started = readStartTime(this.pid)
    return started !== undefined && this.#started !== undefined && started !== this.#started
  }

  #giveBackAfter<T>(held: NativeDescriptor, run: (fd: number) => T): T {
    // A worker that is terminated in here runs no `finally`. The native core then closes the descriptor when the environment ends.
    try {
      return run(this.#core.borrowedNumber(held))
    } finally {
      this.#core.giveBack(held)
    }
  }

  #cookieOf(number: number): bigint {
    return orThrow(this.#core.readCookie(number), ({ errno }) => descriptorError(errno))
  }

  #gone(cause?: unknown): DeadpeerError {
    return new DeadpeerError(
      'ERR_SOCKET_CLOSED',
      `Process ${this.pid} has closed the connection on its descriptor ${this.fd}.`,
      {},
      { cause },
    )
  }
}

/**
 * A live connection of another process, for {@link tune}, {@link tuneAll} and {@link inspect}: pidfd_getfd(2). The other program need not be
 * restarted and does not notice. The id of this process is allowed.
 *
 * Nothing is held between calls: each call opens a descriptor for microseconds and closes it. So nothing leaks, and nothing is left behind if a
 * signal ends this process. Once the owner has closed the connection, calls throw `ERR_SOCKET_CLOSED`, even if the descriptor's number now belongs
 * to another connection.
 *
 * If the owner has set `SO_LINGER` and closes the connection during a call, the call makes the last `close()`. It then waits for the peer, at most
 * for the linger time.
 *
 * No value is deferred. If a value must wait until the peer is heard, {@link tune} throws `ERR_MUST_WAIT` and changes nothing. {@link tuneAll}
 * waits.
 *
 * @param pid the process id, as seen in the PID namespace of this process.
 * @param fd the number of the descriptor in that process, as in `/proc/<pid>/fd`, proc(5). `readSocketOwners` finds it.
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE` for a bad process id or descriptor. {@link DeadpeerError}:
 * - `ESRCH`: no such process.
 * - `EBADF`: the process has no such descriptor.
 * - `EPERM`: not permitted. It requires the same user, a dumpable process, and `kernel.yama.ptrace_scope` 0; or
 *   CAP_SYS_PTRACE. ptrace(2), PTRACE_MODE_ATTACH_REALCREDS. The message lists the state of each.
 * - `ERR_NOT_TCP`: a file, or a socket of another kind.
 * - `ENOSYS`: a kernel before Linux 5.6, or a sandbox.
 * - `ERR_UNSUPPORTED_PLATFORM`: needs the native core.
 * @example
 * ```ts
 * using connection = borrowSocket(4711, 23)
 * console.log(inspect(connection).verdict)
 * tune(connection, 'cloud')
 * ```
 */
export function borrowSocket(pid: number, fd: number): BorrowedSocket {
  checkNumber(pid, 1, 'pid', 'process id')
  checkNumber(fd, 0, 'fd', 'file descriptor')
  return new BorrowedSocket(requireCore('Borrowing a socket'), pid, fd)
}

function checkNumber(value: unknown, from: number, field: string, what: string): void {
  if (typeof value === 'number' && Number.isInteger(value) && value >= from && value <= 0x7fffffff) return
  const given = typeof value === 'number' ? value : value === null ? 'null' : `a ${typeof value}`
  throw new InvalidTypeError(
    `${field} must be a ${what}: a whole number, ${from} or greater; got ${given}.`,
    {
      field,
    },
  )
}
