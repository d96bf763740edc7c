/**
 * Agents of `node:http` and `node:https` whose connections are tuned, and looked at before they are used again.
 *
 * @module deadpeer/http
 */

export {
  HttpAgent,
  type HttpAgentOptions,
  HttpsAgent,
  type HttpsAgentOptions,
} from './agent.js'
export { type KeepAlive, parseKeepAlive } from './keep-alive.js'
export type { ConnectionPoolOptions } from './pool-options.js'
export { type RetryStaleOptions, retryStale } from './retry-stale.js'
export { isStaleReuse } from './stale.js'
export type { ConnectionStatistics, Snapshot } from './statistics.js'
