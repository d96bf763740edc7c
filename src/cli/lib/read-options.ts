import { setImmediate as nextTurn } from 'node:timers/promises'
import type { DeadpeerError, Profile } from '../../index.js'
import { nativeCore } from '../../kernel/binding.js'
import { type OwnedSocket, readOptionsOf } from '../../kernel/borrow.js'
import type { Progress } from './progress.js'
import { type Connection, notYours } from './selection.js'

/** Between two looks at whether somebody wants it to end: 2 ms. */
const SLICE = 512

/**
 * The options of connections, in order, or why they cannot be read. Those of one process are read together, each
 * borrowed for as long as that takes: a {@link borrow} of each takes five times as long.
 *
 * @throws the signal's reason once it is aborted.
 */
export async function readOptions(
  connections: readonly Connection[],
  progress: Progress,
  signal: AbortSignal,
): Promise<(Profile | DeadpeerError)[]> {
  const core = nativeCore()!
  const found: (Profile | DeadpeerError)[] = []
  const byProcess = new Map<number, (OwnedSocket & { readonly place: number })[]>()
  connections.forEach((connection, place) => {
    const [owner] = connection.owners
    if (!owner) {
      found[place] = notYours(connection)
      return
    }
    const socket = { fd: owner.fd, cookie: connection.record.cookie, place }
    const others = byProcess.get(owner.pid)
    if (others) others.push(socket)
    else byProcess.set(owner.pid, [socket])
  })
  let done = 0
  for (const [pid, sockets] of byProcess) {
    for (let at = 0; at < sockets.length; at += SLICE) {
      const slice = sockets.slice(at, at + SLICE)
      const options = readOptionsOf(core, pid, slice)
      slice.forEach(({ place }, i) => {
        found[place] = options[i]!
      })
      done += slice.length
      progress.say('reading options', done, connections.length)
      await nextTurn()
      signal.throwIfAborted()
    }
  }
  return found
}
