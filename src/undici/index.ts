/**
 * A connector and an `Agent` for undici 6, 7 and 8. With `setGlobalDispatcher` they also serve Node's built-in `fetch`.
 *
 * @module deadpeer/undici
 */

export type { ConnectionStatistics, Snapshot } from '../http/statistics.js'
export type { Watching } from '../http/watching.js'
export { type CountingAgent, type CountingDispatcher, createAgent } from './agent.js'
export { connector } from './connector.js'
export type { AgentOptions } from './options.js'
