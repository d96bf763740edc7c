import type { Agent } from 'undici'
import { connectOptions, misplaced, NO_BEST_EFFORT, namesIn } from '../http/options.js'
import type { Watching } from '../http/watching.js'
import type { MixedOptions } from '../options/check.js'
import type { PresetName } from '../profile/presets.js'
import type { Profile } from '../profile/profile.js'

/** The options of `createAgent`, in addition to those of undici's `Agent`. */
export interface AgentOptions extends Agent.Options {
  /** The profile of its connections. Default: `'cloud'`. */
  profile?: Profile | PresetName
  /**
   * Watches the agent's connections: with your watcher, with options for a new one, or with the defaults (`true`). `false` turns this off. Default:
   * `true` if the native core is available. Without a watcher, a response whose body the program does not read keeps a dead connection open
   * forever. By default, the watcher leaves resets to undici, which reports the reset after the program has read the body.
   */
  watch?: Watching
  /**
   * Whether the agent learns how long each server keeps idle connections, and stops reusing them shortly before: the same as `learn` of
   * `HttpAgent` in `deadpeer/http`. Sessions of HTTP/2 are not affected. Default: `true`.
   */
  learn?: boolean
  /**
   * Repeats a request once, on a new connection, if its connection had been used before and was already gone. That means: reset without a
   * response, or closed or ended by keepalive (`ETIMEDOUT`) without a response and without an acknowledgement. Default: `false`.
   *
   * A request is repeated only if all of these are true:
   * - its method is GET, HEAD, OPTIONS, PUT, DELETE or TRACE, or it has an `Idempotency-Key` that is not blank;
   * - its body is a string or bytes, or it has none: a stream is never repeated;
   * - its headers can be read twice: an object, array, Map or Headers object, not `headers.entries()`.
   *
   * Repeated requests count as `retried` and are published on the channel `deadpeer:http:retried`.
   */
  retryStale?: boolean
}

const own = {
  profile: true,
  watch: true,
  learn: true,
  retryStale: true,
} satisfies Record<Exclude<keyof AgentOptions, keyof Agent.Options>, true>

/** Options of `createAgent()`. undici itself refuses its former options, such as `socketTimeout`. */
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
    // Names of HttpAgent's options.
    freesockettimeout: 'keepAliveTimeout',
    socketactivettl: 'clientTtl',
    maxrequestspersocket: 'maxRequestsPerClient',
  },
  elsewhere: { besteffort: NO_BEST_EFFORT },
}

/** The options of undici's Agent that are times. */
export const agentTimes: readonly string[] = namesIn(
  'keepAliveTimeout keepAliveMaxTimeout headersTimeout bodyTimeout connectTimeout clientTtl',
)

/** The options of undici's own connector, which `connector()` passes on: those of `tls.connect`, and a few more. */
export const connectorOptions: MixedOptions = {
  of: 'connector()',
  example: '{ timeout: 2_000 }',
  own: [],
  others: [...connectOptions, ...namesIn('allowH2 preferH2 useH2c maxCachedSessions httpSocket')],
}
