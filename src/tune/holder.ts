import type net from 'node:net'
import { follow, standingOf } from '../connection/holder.js'
import { notATarget } from '../connection/not-a-target.js'
import { noSocket } from '../connection/target.js'

/** How a tuning is written to the connections of a holder. */
interface Ways<Tuning> {
  connection(socket: net.Socket, tuning: Tuning): void
  /** Both, the later over the earlier. */
  merge(earlier: Tuning, later: Tuning): Tuning
}

const tuned = new WeakMap<object, { tuning: unknown }>()

/**
 * Applies a tuning to the connection of a holder: at once where it has one, and to each that it gets later. A refusal is thrown at
 * first, and destroys the connection later.
 *
 * @returns the connection that it has, or `undefined`.
 */
export function tuneHolder<Tuning>(
  target: object,
  tuning: Tuning,
  ways: Ways<Tuning>,
): net.Socket | undefined {
  const standing = standingOf(target)
  if (!standing) throw notATarget(target)
  if (standing.isClosed) throw noSocket(target)
  const known = tuned.get(target)
  if (known) {
    if (standing.socket) ways.connection(standing.socket, tuning)
    known.tuning = ways.merge(known.tuning as Tuning, tuning)
    return standing.socket
  }
  const state = { tuning }
  let isLater = false
  const connection = (socket: net.Socket) => {
    try {
      ways.connection(socket, state.tuning)
    } catch (error) {
      if (!isLater) throw error
      socket.destroy(error as Error)
    }
  }
  const stop = follow(target, { connection, ended: () => tuned.delete(target) })
  isLater = true
  if (stop) tuned.set(target, state)
  return standing.socket
}
