import type net from 'node:net'
import { follow, standingOf } from '../connection/holder.js'
import { forgetTuning, keepTuning, type TuningWriter } from '../connection/kept-tuning.js'
import { notATarget } from '../connection/not-a-target.js'
import { noSocket } from '../connection/target.js'

/**
 * Applies a tuning to the connection of a holder: at once if it has one, and to each connection that it gets later. An error of the first tuning is
 * thrown. A later error destroys the connection.
 *
 * @returns the current connection, or `undefined`.
 */
export function tuneHolder<Tuning>(
  target: object,
  tuning: Tuning,
  writer: TuningWriter<Tuning>,
): net.Socket | undefined {
  const standing = standingOf(target)
  if (!standing) throw notATarget(target)
  if (standing.isClosed) throw noSocket(target)
  if (standing.socket) writer.connection(standing.socket, tuning)
  const kept = keepTuning(target, tuning, writer)
  if (!kept) return standing.socket
  let connection = (_first: net.Socket) => {}
  const stop = follow(target, {
    connection: (socket) => connection(socket),
    ended: () => forgetTuning(target),
  })
  connection = kept.tuneOrDestroy
  if (!stop) forgetTuning(target)
  return standing.socket
}
