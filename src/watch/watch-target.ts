import { BorrowedSocket } from '../connection/borrowed.js'
import { type Standing, standingOf } from '../connection/holder.js'
import type { ServerTarget } from '../connection/listening.js'
import { notATarget } from '../connection/not-a-target.js'
import type { OwnTarget } from '../connection/target.js'
import { DeadpeerError, InvalidTypeError } from '../errors.js'

/** A connection that can be watched: any object of this process that {@link Target} lists, but not a bare descriptor. */
export type WatchTarget = Exclude<OwnTarget, number>

/** One item for `add`. */
export type Watchable = WatchTarget | ServerTarget

export function isIterable(target: unknown): target is Iterable<Watchable> {
  return typeof target === 'object' && target !== null && Symbol.iterator in target
}

/** @throws {@link InvalidTypeError} for a target that cannot be watched. */
export function requireStanding(target: WatchTarget): Standing {
  if (typeof target === 'number') {
    const message = 'A bare descriptor cannot be watched: there is no socket to listen to. Pass the socket.'
    throw new InvalidTypeError(message, { field: 'target' })
  }
  if (target instanceof BorrowedSocket) {
    const message =
      "Another process's socket cannot be watched: it is held for one call only. Call inspect() from time to time."
    throw new InvalidTypeError(message, { field: 'target' })
  }
  const standing = typeof target === 'object' && target !== null ? standingOf(target) : undefined
  if (standing) return standing
  throw notATarget(target)
}

const aboutTarget: readonly string[] = ['ERR_NOT_TCP', 'ERR_SOCKET_CLOSED', 'ERR_UNSUPPORTED_PLATFORM']

/**
 * Whether an error concerns one target only. If this process or the system has run out of a resource, the error is one of this package with an
 * errno as its code. A target may throw anything when it is read.
 */
export function isAboutTarget(error: Error): boolean {
  return !(error instanceof DeadpeerError) || aboutTarget.includes(error.code)
}
