import { DeadpeerError, InvalidTypeError } from '../errors.js'
import { type NativeCore, type NativeDescriptor, requireCore } from '../kernel/binding.js'
import { borrowDescriptor, showsOwnerGone } from '../kernel/borrow.js'
import { descriptorError, orThrow } from '../kernel/failure.js'
import { readStartTime } from '../kernel/processes.js'

/**
 * A connection of another process, as {@link borrowSocket} found it.
 *
 * A descriptor of one's own for it would be a second reference: as long as one has that, the owner's `close()` sends no
 * FIN, and its peer waits. So nothing is held between calls. Each call borrows, makes sure that it got the connection
 * that was asked for, and gives back before it returns.
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

  /** @internal by {@link borrowSocket} alone. */
  constructor(core: NativeCore, pid: number, fd: number) {
    this.#core = core
    this.pid = pid
    this.fd = fd
    const held = borrowDescriptor(core, pid, fd)
    this.cookie = this.#giveBackAfter(held, (number) => this.#cookieOf(number))
    // Afterwards: where the process has ended just now, this is its successor's, and only an EPERM stays an EPERM.
    this.#started = readStartTime(pid)
  }

  /**
   * Runs something synchronous on a descriptor of our own for the connection, and gives that back whatever happens.
   *
   * @internal
   */
  use<T>(run: (fd: number) => T): T {
    if (this.#closed) throw new DeadpeerError('ERR_SOCKET_CLOSED', 'The borrowed socket was given back.')
    return this.#giveBackAfter(this.#borrowAgain(), (number) => {
      if (this.#cookieOf(number) !== this.cookie) throw this.#gone()
      return run(number)
    })
  }

  /** No more calls by this handle. The connection does not feel it: nothing was held. */
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

  /** Whether the process that refuses is another one, to which the number has come since. */
  #isAnothers(error: unknown): boolean {
    if (!(error instanceof DeadpeerError && error.code === 'EPERM')) return false
    const started = readStartTime(this.pid)
    return started !== undefined && this.#started !== undefined && started !== this.#started
  }

  #giveBackAfter<T>(held: NativeDescriptor, run: (fd: number) => T): T {
    // A worker that is terminated in here runs no `finally`: the core gives back then, with the environment.
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
      `Process ${this.pid} has closed the connection that was its descriptor ${this.fd}.`,
      {},
      { cause },
    )
  }
}

/**
 * A live connection of another process, for {@link tune}, {@link tuneAll} and {@link inspect}: pidfd_getfd(2). That
 * program need not be restarted, and does not notice. One's own process id is allowed.
 *
 * Nothing is held between calls, so there is nothing to leak, and nothing left behind where a signal ends this
 * process: each call borrows the connection for microseconds and gives it back. Once the owner has closed it, calls throw
 * `ERR_SOCKET_CLOSED`, also where the number is another connection's by then.
 *
 * Where the owner has set `SO_LINGER`, and closes the connection in just that moment, giving back is the last `close()`, and
 * waits for the peer as the owner's would have: up to that time.
 *
 * Nor is anything kept for later. Where {@link tune} would have to hold a value back until the peer is heard, it
 * throws `ERR_MUST_WAIT` here and changes nothing; {@link tuneAll} takes the time.
 *
 * @param pid the process; the number that this process sees, in its own PID namespace.
 * @param fd the number of the descriptor in that process, as in `/proc/<pid>/fd`, proc(5). `readSocketOwners` finds it.
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE` for what is no process id or no descriptor. {@link DeadpeerError}:
 * - `ESRCH`: no such process.
 * - `EBADF`: the process has no such descriptor.
 * - `EPERM`: not permitted. It takes the same user, a dumpable process, and `kernel.yama.ptrace_scope` 0; or else
 *   CAP_SYS_PTRACE. ptrace(2), PTRACE_MODE_ATTACH_REALCREDS. The message says what is so here.
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
  throw new InvalidTypeError(`${field} is ${given}; a ${what} is a whole number from ${from}.`, { field })
}
