import type { SocketRecord } from '../../../host/index.js'
import type { Connection } from '../../lib/selection.js'

/** Two samples of the same connections. */
export interface Twice {
  readonly connections: readonly Connection[]
  /** The second sample, by cookie. */
  readonly later: ReadonlyMap<bigint, SocketRecord>
  /** From the first to the second, ms. */
  readonly elapsed: number
}
