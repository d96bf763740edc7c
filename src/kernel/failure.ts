import { DeadpeerError, type DeadpeerErrorCode, describeErrno, type ErrorDetails } from '../errors.js'
import type { NativeCore, NativeFailure } from './binding.js'

/** Makes the message for an errno, and a code if that is not the errno's name. */
export type Explain = (
  name: string,
  words: string,
) => string | readonly [code: DeadpeerErrorCode, message: string]

/** The typed error for a failed call. Every errno becomes an error here, except those of `deadpeer/net-keepalive`. */
export function failureError(
  { errno, syscall }: NativeFailure,
  explain: Explain,
  details: ErrorDetails = {},
): DeadpeerError {
  const { name, words } = describeErrno(errno)
  const explained = explain(name, words)
  const [code, message] = typeof explained === 'string' ? [name, explained] : explained
  return new DeadpeerError(code, message, { errno, ...(syscall !== undefined && { syscall }), ...details })
}

/** Whether what a native call returned is a failure. */
export function isFailure(outcome: unknown): outcome is NativeFailure {
  return typeof outcome === 'object' && outcome !== null && 'errno' in outcome
}

/** The value that a native call returned. Throws if it returned a failure. */
export function orThrow<Value>(
  outcome: Value | NativeFailure,
  error: (failure: NativeFailure) => Error,
): Value {
  if (isFailure(outcome)) throw error(outcome)
  return outcome
}

/** Whether an errno means that the option or the kind of socket is not supported, and not that it is forbidden. */
export function isUnsupported(name: string): boolean {
  return ['ENOPROTOOPT', 'EOPNOTSUPP', 'ENOTSUP'].includes(name)
}

/** The typed error for a descriptor that cannot be read. */
export function descriptorError(errno: number, fd?: number): DeadpeerError {
  const which = fd === undefined ? 'The descriptor' : `Descriptor ${fd}`
  return failureError({ errno, syscall: 'getsockopt' }, (name, words) => {
    if (name === 'EBADF') return ['ERR_SOCKET_CLOSED', `${which} is not open (${name}).`]
    if (name === 'ENOTSOCK') return ['ERR_NOT_TCP', `${which} is not a socket (${name}).`]
    if (isUnsupported(name)) return ['ERR_NOT_TCP', `${which} is not a TCP socket (${name}).`]
    return `The kernel refused to read this socket: ${words} (${name}).`
  })
}

/**
 * Reads and clears `SO_ERROR`, socket(7), of a connection that the kernel has ended (state CLOSE). Returns the errno's name; `undefined` if there
 * is none, or if the connection has not ended. Node does not see the error afterwards.
 */
export function takeSocketError(core: NativeCore, fd: number): string | undefined {
  const errno = core.takeSocketError(fd)
  return errno === undefined ? undefined : describeErrno(errno).name
}

const shortages: readonly unknown[] = ['EAGAIN', 'EINTR', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']

/**
 * Whether a call failed because this process or the system lacked a resource at that moment. The same call may succeed later.
 */
export function isShortage(error: object): boolean {
  return 'code' in error && shortages.includes(error.code)
}

/** {@link isShortage} of a negative errno. */
export function isShortErrno(errno: number): boolean {
  return errno < 0 && isShortage({ code: describeErrno(errno).name })
}

const TRIES = 3

/** Repeats a call at once if it fails for lack of a resource: up to three calls in all. */
export function persist<T>(call: () => T): T {
  let result = call()
  for (let i = 1; i < TRIES && isShortErrno(errnoOf(result)); i++) result = call()
  return result
}

function errnoOf(result: unknown): number {
  if (isFailure(result)) return result.errno
  return typeof result === 'number' ? result : 0
}
