import type { SocketRecord } from '../../../host/index.js'
import type { Connection } from '../../lib/selection.js'

/** Two samples of the same connections. */
export interface Twice {
  readonly connections: readonly Connection[]
  /** The second sample, by cookie. */
  readonly later: ReadonlyMap<bigint, SocketRecord>
  /** Time from the first to the second sample, ms. */
  readonly elapsed: number
}
