import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'

/** The fields of an error of this package beside its message. Match `code`: it is stable. */
export interface ErrorDetails {
  /** The field of a profile, or the argument, that was wrong. */
  field?: string
  /** The kernel's name of the option, such as `TCP_USER_TIMEOUT`. */
  constant?: string
  /** The errno as Node counts it: negative. */
  errno?: number
  /** The system call that the kernel refused. */
  syscall?: string
  /** With `ERR_MUST_WAIT`: the values that could not be written yet. */
  pending?: object
  /** Fields of the profile that were written before the refused one and could not be put back. Left out if nothing was changed. */
  written?: readonly string[]
}

/**
 * An argument has the wrong type, or a target is not a connection. Nothing was changed.
 *
 * @example
 * ```ts
 * try {
 *   tune(socket, { keepIdle: 10_000 })
 * } catch ({ code, field }) {
 *   // 'ERR_INVALID_ARG_TYPE', 'keepIdle'
 * }
 * ```
 */
export class InvalidTypeError extends TypeError {
  /** Stable. */
  readonly code = 'ERR_INVALID_ARG_TYPE'
  /** The field of a profile, or the argument, that was wrong. */
  declare readonly field?: string
  /** The kernel's name of the option, such as `TCP_USER_TIMEOUT`. */
  declare readonly constant?: string

  constructor(message: string, details: ErrorDetails = {}) {
    super(message)
    Object.assign(this, details)
  }
}

/**
 * A value has the right type but is out of range. The message names the range. Nothing was changed.
 *
 * @example
 * ```ts
 * try {
 *   tune(socket, { interval: 1_500 })
 * } catch ({ code, field, constant }) {
 *   // 'ERR_OUT_OF_RANGE', 'interval', 'TCP_KEEPINTVL'
 * }
 * ```
 */
export class OutOfRangeError extends RangeError {
  /** Stable. */
  readonly code = 'ERR_OUT_OF_RANGE'
  /** The field of a profile, or the argument, that was wrong. */
  declare readonly field?: string
  /** The kernel's name of the option, such as `TCP_USER_TIMEOUT`. */
  declare readonly constant?: string

  constructor(message: string, details: ErrorDetails = {}) {
    super(message)
    Object.assign(this, details)
  }
}

/**
 * The values of {@link DeadpeerError.code}, beside the errno itself (`'EPERM'` if a sandbox forbids the call, `'ESRCH'` for a process that
 * does not exist).
 *
 * - `ERR_AMBIGUOUS_ADDRESS`: the socket is alive, but the kernel finds only other sockets by its address.
 * - `ERR_MUST_WAIT`: the values could end a borrowed connection now. They can be written after the next segment from its peer.
 * - `ERR_NAME_TAKEN`: the metrics registry already has a metric of that name.
 * - `ERR_NOT_TCP`: the descriptor is another kind of socket, or not a socket.
 * - `ERR_SOCKET_CLOSED`: the socket has no descriptor: it is closed, or not connected yet. The message says which.
 * - `ERR_UNSUPPORTED_OPTION`: this kernel, this kind of socket or this platform does not have the option.
 * - `ERR_UNSUPPORTED_PLATFORM`: the call needs the native core, Linux, or a part of the kernel that is missing here.
 * - `ERR_WATCHER_CLOSED`: the watcher is closed.
 */
export type DeadpeerErrorCode =
  | 'ERR_AMBIGUOUS_ADDRESS'
  | 'ERR_MUST_WAIT'
  | 'ERR_NAME_TAKEN'
  | 'ERR_NOT_TCP'
  | 'ERR_SOCKET_CLOSED'
  | 'ERR_UNSUPPORTED_OPTION'
  | 'ERR_UNSUPPORTED_PLATFORM'
  | 'ERR_WATCHER_CLOSED'
  | (string & {})

/**
 * The kernel or the platform refused the operation. Nothing was changed, except what `written` names.
 *
 * @example
 * ```ts
 * try {
 *   tune(socket, { rtoMax: 1_000 })
 * } catch (error) {
 *   if (error.code !== 'ERR_UNSUPPORTED_OPTION') throw error
 * }
 * ```
 */
export class DeadpeerError extends Error {
  /** Stable; match this. */
  readonly code: DeadpeerErrorCode
  /** The field of a profile, or the argument, that was wrong. */
  declare readonly field?: string
  /** The kernel's name of the option, such as `TCP_USER_TIMEOUT`. */
  declare readonly constant?: string
  /** The errno as Node counts it: negative. */
  declare readonly errno?: number
  /** The system call that the kernel refused. */
  declare readonly syscall?: string
  /** With `ERR_MUST_WAIT`: the values that could not be written yet. */
  declare readonly pending?: object
  /** Fields of the profile that were written before the refused one and could not be put back. Left out if nothing was changed. */
  declare readonly written?: readonly string[]

  constructor(code: DeadpeerErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    Object.assign(this, details)
  }

  static {
    DeadpeerError.prototype.name = 'DeadpeerError'
  }
}

/**
 * The reason why a connection is dead.
 *
 * - `keepalive`: the peer acknowledged none of `count` probes.
 * - `user-timeout`: the peer acknowledged nothing for `userTimeout`: no data in flight or behind a closed window, and no keepalive
 *   probe before `count` was reached.
 * - `retransmission`: data was retransmitted as often as the system allows (`tcp_retries2`), without a `userTimeout`.
 * - `reset`: either side reset the connection, for example a peer that was restarted and no longer has the connection.
 * - `unreachable`: a router or this host reported the peer unreachable.
 * - `heartbeat`: the peer acknowledged none of a heartbeat's `attempts`, before the kernel gave the connection up.
 */
export type DeathReason =
  | 'keepalive'
  | 'user-timeout'
  | 'retransmission'
  | 'reset'
  | 'unreachable'
  | 'heartbeat'

const codes = {
  keepalive: 'ETIMEDOUT',
  'user-timeout': 'ETIMEDOUT',
  retransmission: 'ETIMEDOUT',
  heartbeat: 'ETIMEDOUT',
  reset: 'ECONNRESET',
  unreachable: 'EHOSTUNREACH',
} as const satisfies Record<DeathReason, string>

/**
 * The error that a watcher destroys a socket with when its peer is dead. Its `code` is one that programs already handle: `ETIMEDOUT`,
 * `ECONNRESET` for a `reset`, `EHOSTUNREACH` for `unreachable`. If Node noticed the death first, the socket emits Node's own error. The `error` of
 * the death is then a PeerDeathError with that error as its `cause`.
 *
 * @example
 * ```ts
 * socket.on('error', (error) => {
 *   if (error instanceof PeerDeathError) log(error.reason, error.evidence)
 * })
 * ```
 */
export class PeerDeathError<Info extends object = object> extends Error {
  /** `ETIMEDOUT`, `ECONNRESET` or `EHOSTUNREACH`, by the reason. */
  readonly code: (typeof codes)[DeathReason]
  /** As Node counts it: negative. */
  readonly errno: number
  /** The reason of the death. */
  readonly reason: DeathReason
  /** The reason in words. */
  readonly evidence: string
  /** The kernel's last counters: a {@link TcpInfo}. Absent if they could not be read. */
  declare readonly info?: Info

  constructor(reason: DeathReason, evidence: string, info?: Info, options?: ErrorOptions) {
    super(`The peer is gone (${reason}): ${evidence}.`, options)
    this.code = codes[reason]
    this.errno = -constants.errno[this.code]
    this.reason = reason
    this.evidence = evidence
    if (info !== undefined) this.info = info
  }

  static {
    PeerDeathError.prototype.name = 'PeerDeathError'
  }
}

/** An errno (negative, as the native core returns it) by name and in words. */
export function describeErrno(errno: number): { name: string; words: string } {
  const [name, words] = getSystemErrorMap().get(errno) ?? [nameOf(-errno), 'unknown error']
  return { name, words }
}

/** The name of an errno that libuv does not know, such as ESTALE. */
function nameOf(errno: number): string {
  const [name] = Object.entries(constants.errno).find(([, number]) => number === errno) ?? []
  return name ?? `errno ${errno}`
}
