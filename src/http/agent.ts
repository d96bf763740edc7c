import http from 'node:http'
import https from 'node:https'
import { type InspectOptions, inspect } from 'node:util'
import { tune } from '../tune/tune.js'
import type { Watcher } from '../watch/watcher.js'
import { type HttpAgentOptions, type HttpsAgentOptions, splitOptions } from './options.js'
import { Pool } from './pool.js'
import { printCounts, type Snapshot } from './statistics.js'

/**
 * An `http.Agent` that does not hand out a connection which the kernel knows to be gone, and that counts what becomes of its connections.
 * It can replace Node's own agent anywhere.
 *
 * - Before a request gets a connection that was used before, one native call samples all idle connections of that name. Those that are closed,
 *   reset, dead or have unanswered probes are discarded. A close by the server while the request is on its way cannot be seen
 *   beforehand: {@link isStaleReuse}.
 * - Connections are tuned to `profile`, also while they connect, and watched: {@link watch}.
 * - If a request meets a connection that was already gone, the connections to the same server that were idle then are closed as well: they may
 *   be gone for the same reason.
 * - The server's `Keep-Alive: timeout=, max=` counts if it is less than what was set here.
 * - `diagnostics_channel`: `deadpeer:http:opened` (`{ agent, origin, socket }`), `deadpeer:http:closed` (and `how`: a way to end of
 *   {@link ConnectionStatistics}, or `failedToOpen`), `deadpeer:http:stale-reuse` (and `avoided`, and where it was not, `request`),
 *   `deadpeer:http:retried` (and `request`: {@link retryStale}).
 *
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE` for bad options; what {@link tune}
 * throws for a profile.
 * @example
 * ```ts
 * const agent = new HttpAgent({ profile: 'datacenter' })
 * http.get('http://example.com/', { agent }, …)
 * agent.snapshot().total.reuseRatio
 * ```
 */
export class HttpAgent extends http.Agent {
  readonly #pool: Pool
  /** The watcher of its connections; `undefined` with `watch: false`, or without the native core. */
  readonly watcher: Watcher | undefined

  constructor(options: HttpAgentOptions = {}) {
    const { settings, profile, nodes } = splitOptions(options)
    super(nodes)
    this.watcher = settings.watcher
    this.#pool = new Pool(this, settings)
    if (profile !== false) tune(this, profile)
  }

  /** What has become of its connections and requests so far. */
  snapshot(): Snapshot {
    return this.#pool.snapshot()
  }

  /** What `console.log` shows: the counts of all origins together. */
  [inspect.custom](_depth: number, options: InspectOptions, print: typeof inspect): string {
    return printCounts(this, this.constructor.name, options, print)
  }
}

/**
 * The same for HTTPS: see {@link HttpAgent}.
 *
 * @example
 * ```ts
 * const agent = new HttpsAgent({ profile: 'cloud' })
 * https.get('https://example.com/', { agent }, …)
 * ```
 */
export class HttpsAgent extends https.Agent {
  readonly #pool: Pool
  /** The watcher of its connections; `undefined` with `watch: false`, or without the native core. */
  readonly watcher: Watcher | undefined

  constructor(options: HttpsAgentOptions = {}) {
    const { settings, profile, nodes } = splitOptions(options)
    super(nodes)
    this.watcher = settings.watcher
    this.#pool = new Pool(this, settings)
    if (profile !== false) tune(this, profile)
  }

  /** What has become of its connections and requests so far. */
  snapshot(): Snapshot {
    return this.#pool.snapshot()
  }

  /** What `console.log` shows: the counts of all origins together. */
  [inspect.custom](_depth: number, options: InspectOptions, print: typeof inspect): string {
    return printCounts(this, this.constructor.name, options, print)
  }
}
