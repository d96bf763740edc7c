import type net from 'node:net'
import { checkNoTarget } from '../connection/not-a-target.js'
import { type DeadpeerError, InvalidTypeError } from '../errors.js'
import { nativeCore } from '../kernel/binding.js'
import { checkOptions, describe, isOptionsObject, mustBe } from '../options/check.js'
import { leaveResets } from '../watch/on-dead.js'
import { watch } from '../watch/watch.js'
import { type WatchOptions, watchOptions } from '../watch/watch-options.js'
import { Watcher } from '../watch/watcher.js'

/**
 * The watcher of an agent's connections: your watcher, the options of a new one, or `true` for a new one with the defaults. `false`: the agent
 * does not watch its connections.
 */
export type Watching = Watcher | WatchOptions | boolean

/**
 * By default, an agent watches its connections if the native core is available: without it, a watcher only reports what Node notices anyway.
 * A new watcher leaves resets to Node, unless its options have an `onDead`.
 */
export function watcherOf(watching: Watching | undefined): Watcher | undefined {
  if (watching instanceof Watcher) return watching
  if (watching !== undefined && typeof watching !== 'boolean') {
    if (!isOptionsObject(watching)) throw notWatching(watching)
    checkNoTarget(watching)
    return watch({ onDead: leaveResets, ...checkOptions(watching, watchOptions) })
  }
  return (watching ?? nativeCore() !== undefined) ? watch({ onDead: leaveResets }) : undefined
}

function notWatching(given: unknown): InvalidTypeError {
  const wanted = "true, false, a watcher, or an object such as { onDead: 'report' }"
  return new InvalidTypeError(mustBe('watch', wanted, describe(given)), { field: 'watch' })
}

/**
 * Watches a socket of an agent once it is connected. Before that, deadpeer cannot detect UNIX sockets, which are not watched. Destroys a connection
 * that cannot be watched, with the error.
 */
export function watchOrDestroy(watcher: Watcher, socket: net.Socket): void {
  if (socket.destroyed) return
  if (socket.connecting) {
    socket.prependOnceListener('connect', () => watchOrDestroy(watcher, socket))
    return
  }
  try {
    watcher.add(socket)
  } catch (error) {
    if ((error as DeadpeerError).code !== 'ERR_NOT_TCP') socket.destroy(error as Error)
  }
}
