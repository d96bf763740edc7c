import type { IdleConnection } from './connection.js'

/** Where a measurement gets its connections from: it opens them, or the other side does. */
export interface ConnectionSource {
  readonly name: string
  readonly side: 'client' | 'server'
  readonly address?: string
  /** How many are open now. */
  readonly open: number
  /** Why connections were missing. `undefined`: none were. */
  readonly shortage?: string | undefined
  /** How many could not be opened, and why the first could not. */
  readonly notOpened: { readonly count: number; readonly reason: string }
  /** The round-trip times of all handshakes so far, ms. */
  readonly rtts: readonly number[]
  /**
   * A connection that has been idle for less than `age` ms. `undefined` if there is none to be had, or the signal was aborted.
   *
   * @param signal ends the wait for it.
   * @param lifetime how long it is needed, ms. Default: `age`.
   */
  take(age: number, signal: AbortSignal, lifetime?: number): Promise<IdleConnection | undefined>
  /** Closes a connection that was taken. */
  release(connection: IdleConnection, reset?: boolean): void
}

/** A measurement never has more connections open than this. */
export const MOST_CONNECTIONS = 64
/** The time between two attempts to connect, ms: fewer than 10 a second. */
export const BETWEEN_OPENINGS = 105
