import type { Handle } from './target.js'

/**
 * When a connection was last heard, as far as this process has asked the kernel; in ms of the native core's clock. Kept on
 * the handle, not by descriptor: a handle stands for one connection, a number does not. A property, since a
 * lookup in a WeakMap costs as much as half a system call where there are thousands.
 */
const heardAt = Symbol('deadpeer.heardAt')

type Heard = Handle & { [heardAt]?: number }

/** -Infinity where that is not known. In a time namespace the clock may have begun after a connection was last heard: below 0. */
export function lastHeard(handle: Handle | undefined): number {
  return (handle as Heard | undefined)?.[heardAt] ?? Number.NEGATIVE_INFINITY
}

/** @param at NaN where the kernel was not asked. */
export function noteHeard(handle: Handle | undefined, at: number): void {
  if (handle && !Number.isNaN(at)) (handle as Heard)[heardAt] = at
}
