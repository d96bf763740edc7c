/**
 * The sockets, counters and defaults of the whole host, and the connections of other processes.
 *
 * @module deadpeer/host
 */

export { type BorrowedSocket, borrowSocket } from '../connection/borrowed.js'
export { type CounterRates, diffCounters } from '../kernel/counter-rates.js'
export {
  type CounterGroup,
  type CounterGroups,
  type Counters,
  type CountersOptions,
  readCounters,
} from '../kernel/counters.js'
export {
  type DefaultsOptions,
  equalsDefault,
  type OptionDefaults,
  readDefaults,
  type SystemDefaults,
} from '../kernel/defaults.js'
export { type LivenessCounters, livenessCounters } from '../kernel/liveness-counters.js'
export { readSocketOwners, type SocketOwner } from '../kernel/processes.js'
export {
  type DestroyOptions,
  destroySocket,
  type SocketAddress,
  type SocketIdentity,
} from '../kernel/sock-destroy.js'
export type {
  SocketEnd,
  SocketFamily,
  SocketList,
  SocketRecord,
  SocketRecordWithInfo,
  SocketState,
  SocketTimer,
  StateWithInfo,
} from '../kernel/sock-diag.js'
export type { Prefix, SocketFilter } from './filter.js'
export { listSockets } from './list-sockets.js'
