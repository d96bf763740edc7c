import type net from 'node:net'
import type { DeadpeerError } from '../errors.js'
import { Watcher, type WatchOptions, watch } from '../watch.js'

/** Who watches the connections of an agent: a watcher of the program's, one of its own with these options, or with the defaults. */
export type Watching = Watcher | WatchOptions | boolean

export function watcherOf(watching: Watching | undefined): Watcher | undefined {
  if (watching === undefined || watching === false) return undefined
  if (watching instanceof Watcher) return watching
  return watch(watching === true ? {} : watching)
}

/** Watches what an agent has opened. One that cannot be watched is told by its error; what is not TCP needs no watching. */
export function watchOrDestroy(watcher: Watcher, socket: net.Socket): void {
  if (socket.destroyed) return
  try {
    watcher.add(socket)
  } catch (error) {
    if ((error as DeadpeerError).code !== 'ERR_NOT_TCP') socket.destroy(error as Error)
  }
}
