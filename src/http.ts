export {
  type ConnectionPoolOptions,
  HttpAgent,
  type HttpAgentOptions,
  HttpsAgent,
  type HttpsAgentOptions,
} from './http/agent.js'
export { type KeepAlive, parseKeepAlive } from './http/keep-alive.js'
export { isStaleReuse } from './http/stale.js'
export type { ConnectionStatistics, Snapshot } from './http/statistics.js'
