import type { Agent } from 'undici'
import { connectOptions, misplaced } from '../http/option-names.js'
import type { MixedOptions } from '../options/check.js'
import type { AgentOptions } from '../undici.js'

const own = {
  profile: true,
  watch: true,
  retryStale: true,
} satisfies Record<Exclude<keyof AgentOptions, keyof Agent.Options>, true>

/** Options of `createAgent()`. undici itself refuses the names that it has given up, such as `socketTimeout`. */
export const agentOptions: MixedOptions = {
  of: 'createAgent()',
  own: Object.keys(own),
  others: [
    ...['factory', 'connections', 'clientTtl', 'maxOrigins', 'interceptors', 'maxRedirections', 'connect'],
    ...[
      'maxHeaderSize',
      'maxResponseSize',
      'headersTimeout',
      'bodyTimeout',
      'connectTimeout',
      'socketTimeout',
    ],
    ...['requestTimeout', 'idleTimeout', 'keepAlive', 'keepAliveTimeout', 'keepAliveMaxTimeout', 'tls'],
    ...[
      'maxKeepAliveTimeout',
      'keepAliveTimeoutThreshold',
      'pipelining',
      'strictContentLength',
      'socketPath',
    ],
    ...['maxCachedSessions', 'maxRequestsPerClient', 'localAddress', 'autoSelectFamily', 'allowH2', 'useH2c'],
    ...[
      'autoSelectFamilyAttemptTimeout',
      'maxConcurrentStreams',
      'initialWindowSize',
      'connectionWindowSize',
    ],
    ...['pingInterval', 'webSocket', 'eventSource', 'h2Options', 'useMilo', 'preferH2'],
  ],
  otherNames: misplaced,
}

/** Options of undici's own connector, which `connector()` passes on: those of `tls.connect`, and a few more. */
export const connectorOptions: MixedOptions = {
  of: 'connector()',
  own: [],
  others: [...connectOptions, 'allowH2', 'preferH2', 'useH2c', 'maxCachedSessions', 'httpSocket'],
}
