import type { MixedOptions } from '../options/check.js'
import type { ConnectionPoolOptions } from './pool-options.js'

const own = {
  profile: true,
  watch: true,
  freeSocketTimeout: true,
  socketActiveTTL: true,
  maxRequestsPerSocket: true,
} satisfies Record<keyof ConnectionPoolOptions, true>

/** Options that belong inside another one: fields of a profile, and options of `watch()`. */
export const misplaced = {
  initialdelay: 'profile',
  usertimeout: 'profile',
  heartbeat: 'watch',
  ondead: 'watch',
  watcher: 'watch',
} as const

/** What `net.connect` and `tls.connect` take, of every Node from 20 to 26. An agent passes it on. */
export const connectOptions: readonly string[] = [
  ...['host', 'port', 'path', 'family', 'hints', 'lookup', 'localAddress', 'localPort', 'signal', 'onread'],
  ...['noDelay', 'keepAlive', 'keepAliveInitialDelay', 'autoSelectFamily', 'autoSelectFamilyAttemptTimeout'],
  ...['allowHalfOpen', 'timeout', 'blockList', 'typeOfService', 'socketPath', 'servername', 'session'],
  ...['ca', 'cert', 'key', 'pfx', 'passphrase', 'crl', 'ciphers', 'sigalgs', 'ecdhCurve', 'dhparam'],
  ...['minVersion', 'maxVersion', 'secureProtocol', 'secureOptions', 'secureContext', 'sessionTimeout'],
  ...['ALPNProtocols', 'ALPNCallback', 'SNICallback', 'checkServerIdentity', 'rejectUnauthorized'],
  ...['requestCert', 'requestOCSP', 'enableTrace', 'pskCallback', 'minDHSize', 'honorCipherOrder'],
  ...['privateKeyEngine', 'privateKeyIdentifier', 'clientCertEngine', 'allowPartialTrustChain', 'ticketKeys'],
]

/** Options of `HttpAgent` and `HttpsAgent`. */
export const agentOptions: MixedOptions = {
  of: 'an agent',
  own: Object.keys(own),
  others: [
    ...connectOptions,
    ...['keepAliveMsecs', 'maxSockets', 'maxTotalSockets', 'maxFreeSockets', 'scheduling', 'defaultPort'],
    ...[
      'agentKeepAliveTimeoutBuffer',
      'proxyEnv',
      'protocol',
      'maxCachedSessions',
      'agent',
      'method',
      'auth',
    ],
  ],
  otherNames: {
    ...misplaced,
    // agentkeepalive had these.
    keepalivetimeout: 'freeSocketTimeout',
    freesocketkeepalivetimeout: 'freeSocketTimeout',
  },
}
