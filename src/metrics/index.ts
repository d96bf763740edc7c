/**
 * Metrics for a registry of prom-client 15: dead peers of a watcher, connections of an agent, the kernel's counters.
 *
 * @module deadpeer/metrics
 */

import { InvalidTypeError } from '../errors.js'
import { livenessCounters, readCounters } from '../host/index.js'
import type { Snapshot } from '../http/index.js'
import { checkOptions, describe, type Options, text, trueOrFalse } from '../options/check.js'
import { Watcher } from '../watch/watcher.js'
import { agentMetrics } from './agent.js'
import { hostCounters } from './host-counters.js'
import { checkRegistry, type MetricsRegistry, putMetrics } from './prometheus.js'
import { Sources } from './sources.js'
import { WatcherTally, watcherMetrics } from './watcher.js'

export type { MetricsRegistry } from './prometheus.js'

/** The options of {@link collectAgent}. */
export interface CollectOptions {
  /** The value of the label `watcher` or `agent`. It must be unique among the watchers or agents of the registry. Default: `'default'`. */
  name?: string
}

/** The options of {@link collectWatcher}. */
export interface CollectWatcherOptions extends CollectOptions {
  /**
   * Whether to count suspicions and recoveries. This adds listeners for `suspect` and `recover`, so the watcher samples connections that may
   * be unresponsive: see {@link watch}. Default: `false`.
   */
  suspicions?: boolean
}

/** An agent that keeps statistics: `HttpAgent` or `HttpsAgent` of deadpeer/http, or a result of `createAgent` of deadpeer/undici. */
export interface WithStatistics {
  /** The counts at this moment. */
  snapshot(): Snapshot
}

const watchers = new Sources('watcher', watcherMetrics, (tally: WatcherTally) => tally.sample())
const agents = new Sources('agent', agentMetrics, (agent: WithStatistics) => agent.snapshot().total)

/**
 * Adds the metrics of a watcher to a registry of prom-client: watched connections, deaths by reason, how long the peers had not been heard. All
 * have the label `watcher`. A registry can have several watchers with different names. Deaths are counted from this call on.
 *
 * docs/metrics.md lists all metrics.
 *
 * @param registry the registry that the program serves: prom-client's `register`, or another one. Only a weak reference to it is kept.
 * @returns a function that removes the watcher: the next scrape has no series of it.
 * @throws {@link InvalidTypeError} for anything but a registry, a watcher and a name; {@link DeadpeerError} `ERR_NAME_TAKEN` if the
 * registry already has a watcher of that name, or a metric of the same name from another source.
 * @example
 * ```ts
 * import { register } from 'prom-client'
 *
 * const watcher = watch()
 * collectWatcher(register, watcher, { name: 'devices' })
 * ```
 */
export function collectWatcher(
  registry: MetricsRegistry,
  watcher: Watcher,
  options: CollectWatcherOptions = {},
): () => void {
  if (!(watcher instanceof Watcher)) {
    throw new InvalidTypeError(`watcher must be a result of watch(); got ${describe(watcher)}.`, {
      field: 'watcher',
    })
  }
  const { name = 'default', suspicions = false } = checkOptions(options, watcherOptions)
  let tally: WatcherTally | undefined
  const remove = watchers.add(registry, name, () => {
    tally = new WatcherTally(watcher, suspicions)
    return tally
  })
  return () => {
    remove()
    tally?.end()
  }
}

/**
 * Adds the metrics of an agent to a registry of prom-client: open connections, how connections ended, resets and timeouts, reuse, stale reuses,
 * failed requests. All have the label `agent`. No label has the origin, because their number could grow: for counts by origin, call
 * `agent.snapshot()`.
 *
 * @param registry the registry that the program serves: prom-client's `register`, or another one.
 * @returns a function that removes the agent: the next scrape has no series of it.
 * @throws {@link InvalidTypeError} for anything but a registry, an agent of this package and a name; {@link DeadpeerError} `ERR_NAME_TAKEN`
 * if the registry already has an agent of that name, or a metric of the same name from another source.
 * @example
 * ```ts
 * const agent = new HttpAgent()
 * collectAgent(register, agent, { name: 'payments' })
 * ```
 */
export function collectAgent(
  registry: MetricsRegistry,
  agent: WithStatistics,
  options: CollectOptions = {},
): () => void {
  if (typeof (agent as Partial<WithStatistics> | undefined)?.snapshot !== 'function') {
    throw new InvalidTypeError(
      `agent must be an HttpAgent, an HttpsAgent, or a result of createAgent of deadpeer/undici; got ${describe(agent)} without snapshot().`,
      { field: 'agent' },
    )
  }
  const { name = 'default' } = checkOptions(options, agentOptions)
  return agents.add(registry, name, () => agent)
}

/**
 * Adds the kernel's counters about dead peers to a registry of prom-client: probes sent, connections ended by a timeout, resets and others of
 * {@link livenessCounters}. The counters are those of this network namespace. All processes in it read the same values, so one process is
 * enough.
 *
 * @param registry the registry that the program serves: prom-client's `register`, or another one.
 * @throws {@link InvalidTypeError} for anything but a registry; {@link DeadpeerError} `ERR_NAME_TAKEN` if the registry already has these metrics;
 * the errors of {@link readCounters} if there is no /proc.
 * @example
 * ```ts
 * collectCounters(register)
 * ```
 */
export function collectCounters(registry: MetricsRegistry): void {
  checkRegistry(registry)
  const read = () => [{ labels: {}, sample: livenessCounters(readCounters()) }]
  // If the counters cannot be read, throw now, not at the first scrape.
  read()
  putMetrics(registry, hostCounters, [], read)
}

const agentOptions: Options<CollectOptions> = {
  of: 'collectAgent()',
  example: "{ name: 'payments' }",
  checks: { name: text },
}

const watcherOptions: Options<CollectWatcherOptions> = {
  of: 'collectWatcher()',
  example: "{ name: 'devices' }",
  checks: { ...agentOptions.checks, suspicions: trueOrFalse },
}
