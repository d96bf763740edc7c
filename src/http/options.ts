import type http from 'node:http'
import type https from 'node:https'
import {
  checkMixedOptions,
  type MixedOptions,
  milliseconds,
  refuseSeconds,
  trueOrFalse,
  whole,
} from '../options/check.js'
import { type PresetName, profileOf } from '../profile/presets.js'
import { checkProfile, type Profile } from '../profile/profile.js'
import type { PoolSettings } from './pool.js'
import { type Watching, watcherOf } from './watching.js'

/** The options that {@link HttpAgent} and {@link HttpsAgent} add to those of Node's agents. All times are in ms; 1 … 99 is refused. */
export interface ConnectionPoolOptions {
  /** The profile of its connections. Default: `'cloud'`. `false`: the agent does not tune them. */
  profile?: Profile | PresetName | false
  /**
   * Watches the agent's connections: with your watcher, with options for a new one, or with the defaults (`true`). `false` turns this off. Default:
   * `true` if the native core is available. Node does not notice that the peer is gone while it does not read the connection. So without a
   * watcher, a response that the program does not read keeps a dead connection open forever, and that connection counts towards `maxSockets`.
   * By default, the watcher leaves resets to Node: Node first delivers the data that arrived before the reset.
   */
  watch?: Watching
  /**
   * How long a connection may be idle before the agent closes it: 0 … 2 147 483 647. 0: as long as the server keeps it. Default: 4 000. The
   * agent's `timeout` applies if it is shorter. So does the server's `Keep-Alive: timeout=`, less 1 s.
   */
  freeSocketTimeout?: number
  /**
   * Whether the agent learns how long each server keeps idle connections, and stops reusing them shortly before. It learns from the ages at which
   * the server closed idle connections: 4 of the last 6 moments must agree within 5 %. Connections that the server closes at the same moment
   * count once, or not at all if their ages differ, as at a deploy. The agent forgets a limit after 1 h without such a close. Default: `true`.
   */
  learn?: boolean
  /** How old a connection may become: 0 … 2 147 483 647. An older one is closed after its current request. 0, the default: no limit. */
  socketActiveTTL?: number
  /** How many requests a connection may have: 0 … 2 147 483 647. 0, the default: no limit. The server's `max=` applies if it is lower. */
  maxRequestsPerSocket?: number
}

/** Options of {@link HttpAgent}. Default of `keepAlive`: `true`. */
export interface HttpAgentOptions extends http.AgentOptions, ConnectionPoolOptions {}

/** Options of {@link HttpsAgent}. Default of `keepAlive`: `true`. */
export interface HttpsAgentOptions extends https.AgentOptions, ConnectionPoolOptions {}

const own = {
  profile: true,
  watch: true,
  freeSocketTimeout: true,
  learn: true,
  socketActiveTTL: true,
  maxRequestsPerSocket: true,
} satisfies Record<keyof ConnectionPoolOptions, true>

/** Names that belong inside another option: fields of a profile, and options of `watch()`. */
export const misplaced = {
  enable: 'profile',
  initialdelay: 'profile',
  interval: 'profile',
  count: 'profile',
  usertimeout: 'profile',
  syncount: 'profile',
  rtomax: 'profile',
  failonicmp: 'profile',
  heartbeat: 'watch',
  ondead: 'watch',
  watcher: 'watch',
} as const

/** The advice for the option `bestEffort`, which agents do not have. */
export const NO_BEST_EFFORT =
  'Remove from `profile` the options that capabilities() reports as not available.'

/** The names in a text of several lines. */
export function namesIn(text: string): readonly string[] {
  return text.trim().split(/\s+/)
}

/** The options of `net.connect` and `tls.connect` in Node 20 to 26. An agent passes them on. */
export const connectOptions = namesIn(`
  host port path family hints lookup localAddress localPort signal onread noDelay keepAlive keepAliveInitialDelay
  autoSelectFamily autoSelectFamilyAttemptTimeout allowHalfOpen timeout blockList typeOfService socketPath servername session
  ca cert key pfx passphrase crl ciphers sigalgs ecdhCurve dhparam minVersion maxVersion secureProtocol secureOptions
  secureContext sessionTimeout ALPNProtocols ALPNCallback SNICallback checkServerIdentity rejectUnauthorized requestCert
  requestOCSP enableTrace pskCallback minDHSize honorCipherOrder privateKeyEngine privateKeyIdentifier clientCertEngine
  allowPartialTrustChain ticketKeys
`)

const agentOptions: MixedOptions = {
  of: 'an agent',
  example: "{ profile: 'cloud' }",
  own: Object.keys(own),
  others: [
    ...connectOptions,
    ...namesIn(`
      keepAliveMsecs maxSockets maxTotalSockets maxFreeSockets scheduling defaultPort agentKeepAliveTimeoutBuffer proxyEnv
      protocol maxCachedSessions agent method auth
    `),
  ],
  otherNames: {
    ...misplaced,
    // Former names of agentkeepalive.
    keepalivetimeout: 'freeSocketTimeout',
    freesocketkeepalivetimeout: 'freeSocketTimeout',
  },
  elsewhere: {
    retrystale: 'To repeat a request, call retryStale(send, { method }).',
    besteffort: NO_BEST_EFFORT,
  },
}

const timeLimit = milliseconds({ min: 0, max: 0x7fffffff, why: '0 sets no limit' })
const requestLimit = whole({ min: 0, max: 0x7fffffff, unit: 'requests', why: '0 sets no limit' })

/** The options that are times, of Node's agents and of this package. */
const times = ['freeSocketTimeout', 'socketActiveTTL', 'timeout', 'keepAliveMsecs'] as const

/** @throws {@link OutOfRangeError} for a time of 1 to 99 ms, which usually means seconds. */
export function refuseShortTimes(given: object, names: readonly string[]): void {
  for (const name of names) {
    const value = (given as Record<string, unknown>)[name]
    refuseSeconds(value, name, 'No program needs a shorter time here.', { field: name })
  }
}

/**
 * Checks the options of an agent. Splits them into the settings of its pool, the profile of its connections, and `nodes`: the options for Node's
 * agent.
 */
export function splitOptions<Given extends HttpAgentOptions>(given: Given) {
  const options = checkMixedOptions(given, agentOptions)
  // Node ignores a `timeout` that is a string; agentkeepalive accepts one.
  if (typeof options.timeout === 'string') timeLimit(options.timeout, 'timeout')
  const {
    profile = 'cloud',
    watch,
    freeSocketTimeout = 4_000,
    learn = true,
    socketActiveTTL = 0,
    maxRequestsPerSocket = 0,
    ...rest
  } = options
  timeLimit(freeSocketTimeout, 'freeSocketTimeout')
  trueOrFalse(learn, 'learn')
  timeLimit(socketActiveTTL, 'socketActiveTTL')
  requestLimit(maxRequestsPerSocket, 'maxRequestsPerSocket')
  refuseShortTimes(options, times)
  // A bad profile must throw before a watcher is created.
  if (profile !== false) checkProfile(profileOf(profile))
  const watcher = watcherOf(watch)
  const settings: PoolSettings = { freeSocketTimeout, socketActiveTTL, maxRequestsPerSocket, watcher, learn }
  // Node keeps the two times in the agent's options. audit() reads them there, as it does for agentkeepalive.
  return {
    settings,
    profile,
    nodes: { keepAlive: true, ...rest, freeSocketTimeout, socketActiveTTL },
  }
}
