import type { Keepalive } from '../kernel/liveness.js'
import type { Handle } from './target.js'

/** Kept on the handle, which stands for one connection, as socket/heard.ts does. */
const known = Symbol('deadpeer.clock')

type Known = Handle & { [known]?: boolean }

/**
 * Whether a connection's keepalive timer stands at `initialDelay`, as it does from when that was last written. What moves it since is
 * keepalive switched on anew, and an interval that is longer.
 *
 * @param silence since the peer was last heard, ms. A timer that should have fired by then and has not was moved by somebody else.
 */
export function isClockKnown(
  handle: Handle | undefined,
  { enable, initialDelay, interval }: Keepalive,
  silence: number,
): boolean {
  if (!enable || interval > initialDelay || silence >= initialDelay) return false
  return (handle as Known | undefined)?.[known] === true
}

export function noteClock(handle: Handle | undefined, isKnown: boolean): void {
  if (handle) (handle as Known)[known] = isKnown
}
