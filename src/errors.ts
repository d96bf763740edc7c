import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'

/** What every error of this package carries beside its message. Match `code`: it is stable. */
export interface ErrorDetails {
  /** The field of a profile, or the argument, that was wrong. */
  field?: string
  /** The kernel's name of the option, such as `TCP_USER_TIMEOUT`. */
  constant?: string
  /** The errno as Node counts it: negative. */
  errno?: number
  /** The system call that the kernel refused. */
  syscall?: string
  /** What could not be written yet: `ERR_MUST_WAIT`. */
  pending?: object
  /** Fields of the profile that were written before the refused one and could not be taken back. Left out where nothing was changed. */
  written?: readonly string[]
}

/**
 * An argument of the wrong type, or a target that is no connection. Nothing was changed.
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

  constructor(message: string, details: ErrorDetails = {}) {
    super(message)
    Object.assign(this, details)
  }
}

/**
 * A value of the right type that no kernel could take; the message names the range. Nothing was changed.
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
 * What {@link DeadpeerError.code} can be, beside the errno itself (`'EPERM'` where a sandbox forbids
 * the call, `'ESRCH'` for a process that is not there).
 *
 * - `ERR_AMBIGUOUS_ADDRESS`: the socket is alive, but by its address the kernel finds others only.
 * - `ERR_MUST_WAIT`: a borrowed socket's peer must be heard first, or these values could end the connection.
 * - `ERR_NAME_TAKEN`: a registry of metrics has something of that name already.
 * - `ERR_NOT_TCP`: a socket of another kind, or no socket.
 * - `ERR_SOCKET_CLOSED`: the socket has no descriptor: it is closed, or not connected yet. The message says which.
 * - `ERR_UNSUPPORTED_OPTION`: this kernel, this kind of socket or this platform does not have the option.
 * - `ERR_UNSUPPORTED_PLATFORM`: needs the native core, or Linux, and there is none here; or a part of the kernel that is not there.
 * - `ERR_WATCHER_CLOSED`: the watcher was closed, and watches nothing any more.
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
 * The kernel or the platform would not. Nothing was changed, but for what `written` names.
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
  /** What could not be written yet: `ERR_MUST_WAIT`. */
  declare readonly pending?: object
  /** Fields of the profile that were written before the refused one and could not be taken back. Left out where nothing was changed. */
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
 * Why a connection is dead.
 *
 * - `keepalive`: the peer has answered none of as many probes as `count` allows.
 * - `user-timeout`: the peer has acknowledged nothing for `userTimeout`, with data in flight or behind a closed window, or it
 *   ended keepalive before `count` was reached.
 * - `retransmission`: the same without a `userTimeout`: data was sent again as often as the system allows (`tcp_retries2`).
 * - `reset`: the connection is unknown to the peer, which was restarted, or it was broken off, by either side.
 * - `unreachable`: a router, or this host, said that there is no way to the peer.
 * - `heartbeat`: the peer has answered none of as many questions as a heartbeat allows, while the kernel had not given it up yet.
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
 * What a socket is destroyed with when its peer is dead. Its `code` is what programs handle already: `ETIMEDOUT`,
 * `ECONNRESET` for a `reset`, `EHOSTUNREACH` for `unreachable`. Where Node saw the death first, the socket emits Node's own error, and
 * the `error` of the death is a PeerDeathError whose `cause` is that.
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
  /** What it died of. */
  readonly reason: DeathReason
  /** Why, in words. */
  readonly evidence: string
  /** The kernel's counters at the end: a {@link TcpInfo}. Absent where they could not be read. */
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

/** Of those that libuv does not know, such as ESTALE. */
function nameOf(errno: number): string {
  const [name] = Object.entries(constants.errno).find(([, number]) => number === errno) ?? []
  return name ?? `errno ${errno}`
}
