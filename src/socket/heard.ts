import type { Handle } from './target.js'

/**
 * When each connection was last heard, as far as this process has asked the kernel; in ms of the native core's
 * clock. By handle, not by descriptor: a handle stands for one connection, a number does not.
 */
const heardAt = new WeakMap<Handle, number>()

export function lastHeard(handle: Handle | undefined): number {
  return (handle && heardAt.get(handle)) ?? 0
}

export function noteHeard(handle: Handle | undefined, at: number): void {
  if (handle && at > 0) heardAt.set(handle, at)
}
