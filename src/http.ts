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
} from './http/agent.js'
export { type KeepAlive, parseKeepAlive } from './http/keep-alive.js'
export type { ConnectionPoolOptions } from './http/pool-options.js'
export { type RetryStaleOptions, retryStale } from './http/retry-stale.js'
export { isStaleReuse } from './http/stale.js'
export type { ConnectionStatistics, Snapshot } from './http/statistics.js'
