import type net from 'node:net'
import { sharedState } from '../kernel/shared-state.js'

/** How a tuning is written to the connections of an agent, a server, or another object that gets connections later. */
export interface TuningWriter<Tuning> {
  connection(socket: net.Socket, tuning: Tuning): void
  /** Merges two tunings. The later one takes precedence. */
  merge(earlier: Tuning, later: Tuning): Tuning
}

/** The tuning of an agent, a server, or another object that gets connections later. */
export interface KeptTuning<Tuning> {
  tuning: Tuning
  /** Tunes a connection. If that fails, the connection is destroyed with the error. */
  tuneOrDestroy(socket: net.Socket): void
}

const kept = sharedState('keptTunings', () => new WeakMap<object, { tuning: unknown }>())

/**
 * Keeps a tuning for an object's later connections. If the object has a tuning already, the two are merged.
 *
 * @returns the tuning if it is the object's first, so that the caller can start to listen for connections; otherwise `undefined`.
 */
export function keepTuning<Tuning>(
  owner: object,
  tuning: Tuning,
  { connection, merge }: TuningWriter<Tuning>,
): KeptTuning<Tuning> | undefined {
  const known = kept().get(owner)
  if (known) {
    known.tuning = merge(known.tuning as Tuning, tuning)
    return undefined
  }
  const own: KeptTuning<Tuning> = {
    tuning,
    tuneOrDestroy(socket) {
      if (socket.destroyed) return
      try {
        connection(socket, own.tuning)
      } catch (error) {
        socket.destroy(error as Error)
      }
    },
  }
  kept().set(owner, own)
  return own
}

export function forgetTuning(owner: object): void {
  kept().delete(owner)
}
