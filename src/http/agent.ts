import http from 'node:http'
import https from 'node:https'
import { InvalidTypeError } from '../errors.js'
import { checkMixedOptions, describe, milliseconds, whole } from '../options/check.js'
import type { PresetName } from '../profile/presets.js'
import type { Profile } from '../profile/profile.js'
import { tune } from '../tune/tune.js'
import type { Watcher } from '../watch/watcher.js'
import { agentOptions } from './option-names.js'
import { Pool, type PoolSettings } from './pool.js'
import type { ConnectionPoolOptions } from './pool-options.js'
import type { Snapshot } from './statistics.js'
import { watcherOf } from './watching.js'

/** Options of {@link HttpAgent}. `keepAlive` is `true` where it is left out. */
export interface HttpAgentOptions extends http.AgentOptions, ConnectionPoolOptions {}

/** Options of {@link HttpsAgent}. `keepAlive` is `true` where it is left out. */
export interface HttpsAgentOptions extends https.AgentOptions, ConnectionPoolOptions {}

/**
 * An `http.Agent` that does not hand out a connection which the kernel knows to be gone, and that tells what becomes of its connections.
 * Goes wherever Node's own does.
 *
 * - Before a request gets a connection that was used before, all idle ones of that name are looked at in one native call: what is closed,
 *   reset, dead or has unanswered probes is discarded. What the server closes while the request is on its way cannot be
 *   seen before: {@link isStaleReuse}.
 * - Connections are tuned to `profile`, also while they connect, and watched: {@link watch}.
 * - Where a request meets a connection that was gone, the connections to the same server that were idle then are closed as well: they may
 *   be gone for the same reason.
 * - The server's `Keep-Alive: timeout=, max=` counts, where it is less than what was set here.
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
    const { settings, profile, nodes } = split(options)
    super(nodes)
    this.watcher = settings.watcher
    this.#pool = new Pool(this, settings)
    if (profile !== false) tune(this, profile)
  }

  /** What has become of its connections and requests so far. */
  snapshot(): Snapshot {
    return this.#pool.snapshot()
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
    const { settings, profile, nodes } = split(options)
    super(nodes)
    this.watcher = settings.watcher
    this.#pool = new Pool(this, settings)
    if (profile !== false) tune(this, profile)
  }

  /** What has become of its connections and requests so far. */
  snapshot(): Snapshot {
    return this.#pool.snapshot()
  }
}

interface Split<Options> {
  readonly settings: PoolSettings
  readonly profile: Profile | PresetName | false
  /** What is Node's. */
  readonly nodes: Omit<Options, keyof ConnectionPoolOptions> & { keepAlive: boolean }
}

function split<Options extends HttpAgentOptions>(options: Options): Split<Options> {
  if (typeof options !== 'object' || options === null) {
    const message = `options is ${describe(options)}; it must be an object such as { profile: 'cloud' }.`
    throw new InvalidTypeError(message, { field: 'options' })
  }
  checkMixedOptions(options, agentOptions)
  // Node ignores a `timeout` that is a text; agentkeepalive takes one.
  if (typeof options.timeout === 'string') atMostMax(options.timeout, 'timeout')
  const {
    profile,
    watch: watching,
    freeSocketTimeout,
    socketActiveTTL,
    maxRequestsPerSocket,
    ...rest
  } = options
  const settings: PoolSettings = {
    freeSocketTimeout: checked(freeSocketTimeout, 'freeSocketTimeout', 4_000),
    socketActiveTTL: checked(socketActiveTTL, 'socketActiveTTL', 0),
    maxRequestsPerSocket: checked(maxRequestsPerSocket, 'maxRequestsPerSocket', 0, requests),
    watcher: watcherOf(watching),
  }
  // Node keeps these among the agent's options, where audit() reads them, as those of agentkeepalive.
  const readable = {
    freeSocketTimeout: settings.freeSocketTimeout,
    socketActiveTTL: settings.socketActiveTTL,
  }
  return { settings, profile: profile ?? 'cloud', nodes: { keepAlive: true, ...rest, ...readable } }
}

const atMostMax = milliseconds({ min: 0, max: 0x7fffffff, why: '0 sets no limit' })
const requests = whole({ min: 0, max: 0x7fffffff, unit: 'requests', why: '0 sets no limit' })

function checked(value: number | undefined, field: string, otherwise: number, check = atMostMax): number {
  if (value === undefined) return otherwise
  check(value, field)
  return value
}
