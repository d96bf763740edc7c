import http from 'node:http'
import https from 'node:https'
import { type InspectOptions, inspect } from 'node:util'
import { tune } from '../tune/tune.js'
import type { Watcher } from '../watch/watcher.js'
import { type HttpAgentOptions, type HttpsAgentOptions, splitOptions } from './options.js'
import { Pool } from './pool.js'
import { printCounts, type Snapshot } from './statistics.js'

/**
 * An `http.Agent` that checks a connection in the kernel before it reuses it, and that keeps statistics of its connections. It can
 * replace Node's own agent.
 *
 * - Before a request reuses a connection, one native call samples all idle connections to that server. The agent discards those that are
 *   closed, reset, dead or have unanswered probes. It cannot notice a server that closes the connection while the request is on its way:
 *   {@link isStaleReuse}.
 * - The agent tunes its connections to `profile`, also while they connect, and watches them: {@link watch}.
 * - If a request fails because its connection was already gone, the agent also closes the connections to the same server that were idle at that time.
 *   They may be gone for the same reason.
 * - The server's `Keep-Alive: timeout=, max=` applies if it is lower than the agent's own limits.
 * - `diagnostics_channel`: `deadpeer:http:opened` with `{ agent, origin, socket }`; `deadpeer:http:closed`, also with `how`: an ending of
 *   {@link ConnectionStatistics}, or `failedToOpen`; `deadpeer:http:stale-reuse`, also with `avoided`, and with `request` if it is `false`;
 *   `deadpeer:http:retried`, also with `request`: {@link retryStale}.
 *
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE` for bad options; the errors of
 * {@link tune} for a profile.
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

  /** The statistics of its connections and requests so far. */
  snapshot(): Snapshot {
    return this.#pool.snapshot()
  }

  /** What `console.log` shows: the counts of all origins together. */
  [inspect.custom](_depth: number, options: InspectOptions, print: typeof inspect): string {
    return printCounts(this, this.constructor.name, options, print)
  }
}

/**
 * {@link HttpAgent} for HTTPS.
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

  /** The statistics of its connections and requests so far. */
  snapshot(): Snapshot {
    return this.#pool.snapshot()
  }

  /** What `console.log` shows: the counts of all origins together. */
  [inspect.custom](_depth: number, options: InspectOptions, print: typeof inspect): string {
    return printCounts(this, this.constructor.name, options, print)
  }
}
