import type { Keepalive } from '../kernel/liveness.js'
import type { Handle } from './target.js'

/** Kept on the handle, which stands for one connection, as socket/heard.ts does. */
const known = Symbol('deadpeer.clock')

type Known = Handle & { [known]?: boolean }

/**
 * Whether a connection's keepalive timer stands at `initialDelay`, as it does from when that was last written. What moves it since is
 * keepalive switched on anew, and an interval that is longer.
 */
export function isClockKnown(
  handle: Handle | undefined,
  { enable, initialDelay, interval }: Keepalive,
): boolean {
  return enable && interval <= initialDelay && (handle as Known | undefined)?.[known] === true
}

export function noteClock(handle: Handle | undefined, isKnown: boolean): void {
  if (handle) (handle as Known)[known] = isKnown
}
