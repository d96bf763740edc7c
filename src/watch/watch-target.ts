import { BorrowedSocket } from '../connection/borrowed.js'
import { type Standing, standingOf } from '../connection/holder.js'
import type { ServerTarget } from '../connection/listening.js'
import { notATarget } from '../connection/not-a-target.js'
import type { OwnTarget } from '../connection/target.js'
import { DeadpeerError, InvalidTypeError } from '../errors.js'

/** What can be watched: a connection of this process, given as any object that {@link Target} lists, but not as a bare descriptor. */
export type WatchTarget = Exclude<OwnTarget, number>

/** What `add` takes as one item. */
export type Watchable = WatchTarget | ServerTarget

export function isIterable(target: unknown): target is Iterable<Watchable> {
  return typeof target === 'object' && target !== null && Symbol.iterator in target
}

/** @throws for what cannot be watched. */
export function requireStanding(target: WatchTarget): Standing {
  if (typeof target === 'number') {
    const message = 'A bare descriptor cannot be watched: there is no socket to listen to. Pass the socket.'
    throw new InvalidTypeError(message, { field: 'target' })
  }
  if (target instanceof BorrowedSocket) {
    const message =
      "Another process's socket cannot be watched: it is held for one call. inspect it now and then."
    throw new InvalidTypeError(message, { field: 'target' })
  }
  const standing = typeof target === 'object' && target !== null ? standingOf(target) : undefined
  if (standing) return standing
  throw notATarget(target)
}

const aboutTarget: readonly string[] = ['ERR_NOT_TCP', 'ERR_SOCKET_CLOSED', 'ERR_UNSUPPORTED_PLATFORM']

/**
 * Whether an error is about one target, not about a resource that this process or the system has run out of: those are errors of this package
 * with the errno as their code. A target may throw anything when it is read.
 */
export function isAboutTarget(error: Error): boolean {
  return !(error instanceof DeadpeerError) || aboutTarget.includes(error.code)
}
