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
}

/** An argument of the wrong type, or a target that is no connection. */
export class InvalidTypeError extends TypeError {
  readonly code = 'ERR_INVALID_ARG_TYPE'
  declare readonly field?: string

  constructor(message: string, details: ErrorDetails = {}) {
    super(message)
    Object.assign(this, details)
  }
}

/** A value of the right type that no kernel could take; the message names the range. */
export class OutOfRangeError extends RangeError {
  readonly code = 'ERR_OUT_OF_RANGE'
  declare readonly field?: string
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
 * - `ERR_NOT_TCP`: a socket of another kind, or no socket.
 * - `ERR_SOCKET_CLOSED`: the socket has no descriptor any more.
 * - `ERR_UNSUPPORTED_OPTION`: this kernel, this kind of socket or this platform does not have the option.
 * - `ERR_UNSUPPORTED_PLATFORM`: needs the native core, or Linux, and there is none here; or a part of the kernel that is not there.
 */
export type DeadpeerErrorCode =
  | 'ERR_AMBIGUOUS_ADDRESS'
  | 'ERR_MUST_WAIT'
  | 'ERR_NOT_TCP'
  | 'ERR_SOCKET_CLOSED'
  | 'ERR_UNSUPPORTED_OPTION'
  | 'ERR_UNSUPPORTED_PLATFORM'
  | (string & {})

/** The kernel or the platform would not. Nothing was changed. */
export class DeadpeerError extends Error {
  readonly code: DeadpeerErrorCode
  declare readonly field?: string
  declare readonly constant?: string
  declare readonly errno?: number
  declare readonly syscall?: string
  declare readonly pending?: object

  constructor(code: DeadpeerErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    Object.assign(this, details)
  }

  static {
    DeadpeerError.prototype.name = 'DeadpeerError'
  }
}

/** An errno (negative, as the native core returns it) by name and in words. */
export function describeErrno(errno: number): { name: string; words: string } {
  const [name, words] = getSystemErrorMap().get(errno) ?? [`errno ${-errno}`, 'unknown error']
  return { name, words }
}
