/**
 * Agents for `node:http` and `node:https` that tune their connections and check them before reuse.
 *
 * @module deadpeer/http
 */

export { HttpAgent, HttpsAgent } from './agent.js'
export { type KeepAlive, parseKeepAlive } from './keep-alive.js'
export type { ConnectionPoolOptions, HttpAgentOptions, HttpsAgentOptions } from './options.js'
export { type RetryStaleOptions, retryStale } from './retry-stale.js'
export { isStaleReuse } from './stale.js'
export type { ConnectionStatistics, OriginStatistics, Snapshot } from './statistics.js'
