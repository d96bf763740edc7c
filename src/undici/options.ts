import type { Agent } from 'undici'
import { connectOptions, misplaced, NO_BEST_EFFORT, namesIn } from '../http/options.js'
import type { Watching } from '../http/watching.js'
import type { MixedOptions } from '../options/check.js'
import type { PresetName } from '../profile/presets.js'
import type { Profile } from '../profile/profile.js'

/** What `createAgent` takes beside what undici's `Agent` takes. */
export interface AgentOptions extends Agent.Options {
  /** What its connections are tuned to. Default: `'cloud'`. */
  profile?: Profile | PresetName
  /**
   * Watches the agent's connections: with your watcher, with options for a new one, or with the defaults (`true`). `false` turns this off. Default:
   * `true` if the native core is available. Without a watcher, a response whose body the program does not read keeps a dead connection open forever. By
   * default, the watcher leaves resets to undici, which reports the reset after the body has been read.
   */
  watch?: Watching
  /**
   * Repeats a request once, on a new connection, if its connection was used before and was already gone: reset without an answer, or closed or
   * found dead by keepalive (`ETIMEDOUT`) without an answer or an acknowledgement. Only requests that may happen twice are repeated: by their
   * method (GET, HEAD, OPTIONS, PUT, DELETE, TRACE) or by an `Idempotency-Key` that is not blank, with a body that is a string or bytes, or
   * without one, and with headers that can be read twice (an object, array, Map or Headers object; not `headers.entries()`). A POST without
   * a key and a stream are never repeated. Repeated requests are counted as `retried` and published on the channel `deadpeer:http:retried`. Default:
   * `false`.
   */
  retryStale?: boolean
}

const own = {
  profile: true,
  watch: true,
  retryStale: true,
} satisfies Record<Exclude<keyof AgentOptions, keyof Agent.Options>, true>

/** Options of `createAgent()`. undici itself refuses the names that it has given up, such as `socketTimeout`. */
export const agentOptions: MixedOptions = {
  of: 'createAgent()',
  example: "{ profile: 'cloud' }",
  own: Object.keys(own),
  others: namesIn(`
    factory connections clientTtl maxOrigins interceptors maxRedirections connect maxHeaderSize maxResponseSize headersTimeout
    bodyTimeout connectTimeout socketTimeout requestTimeout idleTimeout keepAlive keepAliveTimeout keepAliveMaxTimeout tls
    maxKeepAliveTimeout keepAliveTimeoutThreshold pipelining strictContentLength socketPath maxCachedSessions
    maxRequestsPerClient localAddress autoSelectFamily allowH2 useH2c autoSelectFamilyAttemptTimeout maxConcurrentStreams
    initialWindowSize connectionWindowSize pingInterval webSocket eventSource h2Options useMilo preferH2
  `),
  otherNames: {
    ...misplaced,
    // Of HttpAgent.
    freesockettimeout: 'keepAliveTimeout',
    socketactivettl: 'clientTtl',
    maxrequestspersocket: 'maxRequestsPerClient',
  },
  elsewhere: { besteffort: NO_BEST_EFFORT },
}

/** Options of undici's Agent that are times. */
export const agentTimes: readonly string[] = namesIn(
  'keepAliveTimeout keepAliveMaxTimeout headersTimeout bodyTimeout connectTimeout clientTtl',
)

/** Options of undici's own connector, which `connector()` passes on: those of `tls.connect`, and a few more. */
export const connectorOptions: MixedOptions = {
  of: 'connector()',
  example: '{ timeout: 2_000 }',
  own: [],
  others: [...connectOptions, ...namesIn('allowH2 preferH2 useH2c maxCachedSessions httpSocket')],
}
