import type net from 'node:net'
import type { DeadpeerError } from '../errors.js'
import { nativeCore } from '../kernel/binding.js'
import { leaveResets } from '../watch/leave-resets.js'
import { Watcher, type WatchOptions, watch } from '../watch.js'

/**
 * Who watches the connections of an agent: a watcher of the program's, one of its own with these options, or with the defaults (`true`).
 * `false`: they are not watched.
 */
export type Watching = Watcher | WatchOptions | boolean

/**
 * The default is to watch where the native core is there. Without it Node alone notices deaths, and a watcher would add nothing. A watcher
 * of the agent's own leaves resets to Node, unless its options say what to do.
 */
export function watcherOf(watching: Watching | undefined): Watcher | undefined {
  if (watching instanceof Watcher) return watching
  if (typeof watching === 'object') return watch({ onDead: leaveResets, ...watching })
  return (watching ?? nativeCore() !== undefined) ? watch({ onDead: leaveResets }) : undefined
}

/**
 * Watches what an agent has opened, once it is connected: only then it is known whether it is TCP. A UNIX socket is left alone. A connection
 * that cannot be watched is destroyed with the reason.
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
