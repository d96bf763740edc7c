/**
 * What a program knows of its own connections, put into its own registry of prom-client 15: deaths, agents, the kernel's counters.
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

/** What {@link collectWatcher} and {@link collectAgent} call what they collect from. */
export interface CollectOptions {
  /** What tells it apart from others of its kind in the same registry: the value of its label. Default: `'default'`. */
  name?: string
}

/** What {@link collectWatcher} counts. */
export interface CollectWatcherOptions extends CollectOptions {
  /**
   * Whether to count suspicions and recoveries. It takes looking at connections that may be in trouble, which nobody does without a listener:
   * see {@link watch}. Default: `false`.
   */
  suspicions?: boolean
}

/** What keeps statistics: `HttpAgent` and `HttpsAgent` of deadpeer/http, and what `createAgent` of deadpeer/undici makes. */
export interface WithStatistics {
  /** The counts at this moment. */
  snapshot(): Snapshot
}

const watchers = new Sources('watcher', watcherMetrics, (tally: WatcherTally) => tally.sample())
const agents = new Sources('agent', agentMetrics, (agent: WithStatistics) => agent.snapshot().total)

/**
 * Has a registry of prom-client tell what a watcher does: connections that are watched, deaths by reason, how long peers had been silent. All
 * of it has the label `watcher`. Several watchers go into one registry by different names. Deaths are counted from now on.
 *
 * docs/metrics.md names every metric.
 *
 * @param registry the one that the program serves: prom-client's `register`, or one of its own. It is held by nothing here.
 * @returns what ends it: its series are gone with the next scrape.
 * @throws {@link InvalidTypeError} for anything else than a registry, a watcher, or a name; {@link DeadpeerError} `ERR_NAME_TAKEN` where that
 * registry has a watcher of that name, or somebody else's metric of the same name.
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
    throw new InvalidTypeError(`watcher must be what watch() returned; got ${describe(watcher)}.`, {
      field: 'watcher',
    })
  }
  const { name = 'default', suspicions = false } = checkOptions(options, watcherOptions)
  let tally: WatcherTally | undefined
  const forget = watchers.add(registry, name, () => {
    tally = new WatcherTally(watcher, suspicions)
    return tally
  })
  return () => {
    forget()
    tally?.end()
  }
}

/**
 * Has a registry of prom-client tell what becomes of an agent's connections and requests: open connections, ways they ended, resets and
 * timeouts, reuse, stale reuses, failed requests. All of it has the label `agent`, and none other that could grow: origins are in
 * `agent.snapshot()`.
 *
 * @param registry the one that the program serves: prom-client's `register`, or one of its own.
 * @returns what ends it: its series are gone with the next scrape.
 * @throws {@link InvalidTypeError} for anything else than a registry, an agent of ours, or a name; {@link DeadpeerError} `ERR_NAME_TAKEN`
 * where that registry has an agent of that name, or somebody else's metric of the same name.
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
      `agent must be an HttpAgent or HttpsAgent, or what createAgent of deadpeer/undici returned; got ${describe(agent)} without statistics.`,
      { field: 'agent' },
    )
  }
  const { name = 'default' } = checkOptions(options, agentOptions)
  return agents.add(registry, name, () => agent)
}

/**
 * Has a registry of prom-client tell what the kernel counts for this network namespace that concerns dead peers: probes sent, connections
 * given up, resets, …: {@link livenessCounters}. Once is enough: it is the same for all processes of the host.
 *
 * @param registry the one that the program serves: prom-client's `register`, or one of its own.
 * @throws {@link InvalidTypeError} for anything else than a registry; {@link DeadpeerError} `ERR_NAME_TAKEN` where it has these metrics
 * already; what {@link readCounters} throws where there is no /proc.
 * @example
 * ```ts
 * collectCounters(register)
 * ```
 */
export function collectCounters(registry: MetricsRegistry): void {
  checkRegistry(registry)
  const read = () => [{ labels: {}, sample: livenessCounters(readCounters()) }]
  // Where there are none to be read, this is the time to be told.
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
