import type { Examination, HopByHop } from './hop-by-hop.js'
import { NOMINATED, ORIGIN_TIMEOUT } from './origin.js'

/** What a proxy does wrong with connections, and what to change. */
export interface ProxyFinding {
  readonly severity: 'error' | 'warning' | 'note'
  readonly code:
    | 'client-hangs'
    | 'connection-passed-on'
    | 'header-passed-on'
    | 'nominated-passed-on'
    | 'origin-timeout-passed-back'
    | 'client-not-kept'
    | 'origin-not-kept'
  readonly message: string
  readonly change: string
}

/** Nothing between the client and the origin: no finding. */
export function judgeProxy(examination: Examination): ProxyFinding[] {
  if (examination.isDirect) return []
  return [
    ...judgeSecond(examination),
    ...judgePassedOn(examination),
    ...judgePassedBack(examination),
    ...judgeOriginSide(examination),
  ]
}

const removeHopByHop =
  'Make the proxy remove Connection, the headers that it names, Keep-Alive and Proxy-Connection from requests and responses (RFC 9110, 7.6.1).'

function judgeSecond({ version, second, passedOn }: Examination): ProxyFinding[] {
  if (second === 'no-response') {
    const why = passedOn.includes('Connection')
      ? ' The proxy passed on Connection: keep-alive without supporting it, and waits for the origin to close.'
      : ''
    return [
      {
        severity: 'error',
        code: 'client-hangs',
        message: `The response lets a client of HTTP/${version} reuse the connection, but a second request on it gets no response. Such a client hangs.${why}`,
        change: `${removeHopByHop} Until then, clients must send Connection: close.`,
      },
    ]
  }
  if (second === 'closed') {
    return [
      {
        severity: 'error',
        code: 'client-not-kept',
        message: `The response lets a client of HTTP/${version} reuse the connection, but the proxy closes it. A second request fails.`,
        change: 'Make the proxy keep the connection, or send Connection: close with its responses.',
      },
    ]
  }
  if (second === 'announced-close') {
    return [
      {
        severity: version === '1.0' ? 'note' : 'warning',
        code: 'client-not-kept',
        message: `The proxy does not keep the client's connection open with HTTP/${version}, and says so.`,
        change:
          version === '1.0'
            ? 'Use HTTP/1.1 if the client can.'
            : 'Turn on keep-alive for clients: keepalive_timeout in nginx; no httpclose option in HAProxy.',
      },
    ]
  }
  return []
}

const changes: Partial<Record<HopByHop, string>> = {
  'Keep-Alive': 'Make the proxy remove Keep-Alive. In HAProxy: http-request del-header Keep-Alive.',
  'Proxy-Connection':
    'Make the proxy remove Proxy-Connection. In nginx: proxy_set_header Proxy-Connection "". In HAProxy: http-request del-header Proxy-Connection.',
  TE: 'Make the proxy remove TE, unless it passes trailers on. In HAProxy: http-request del-header TE.',
  Upgrade:
    'If the proxy must not switch protocols, remove Upgrade. In HAProxy: http-request del-header Upgrade.',
}

function judgePassedOn({ passedOn }: Examination): ProxyFinding[] {
  const findings: ProxyFinding[] = []
  if (passedOn.includes('Connection')) {
    findings.push({
      severity: 'error',
      code: 'connection-passed-on',
      message:
        "The proxy passes the client's Connection header on unchanged. The origin keeps or closes its connection as the client asked, which the proxy does not notice.",
      change: removeHopByHop,
    })
  }
  for (const name of passedOn) {
    const change = changes[name]
    if (change === undefined) continue
    // Without the Connection header of the client, the origin ignores them, or the proxy supports them.
    const severity = passedOn.includes('Connection') ? 'warning' : 'note'
    findings.push({
      severity,
      code: 'header-passed-on',
      message: `The proxy passes ${name} on to the origin.`,
      change,
    })
  }
  if (passedOn.includes(NOMINATED) && !passedOn.includes('Connection')) {
    findings.push({
      severity: 'note',
      code: 'nominated-passed-on',
      message: 'The proxy passes on a header that Connection names. It removes only the names that it knows.',
      change:
        'Make the proxy remove each header that Connection names (RFC 9110, 7.6.1), or do not rely on that.',
    })
  }
  return findings
}

function judgePassedBack({ passedBack }: Examination): ProxyFinding[] {
  if (!passedBack.includes('Keep-Alive')) return []
  return [
    {
      severity: 'warning',
      code: 'origin-timeout-passed-back',
      message: `The proxy passes the origin's Keep-Alive: timeout=${ORIGIN_TIMEOUT} on to the client. The proxy may close the client's connection earlier.`,
      change:
        'Make the proxy remove Keep-Alive from responses. In nginx: proxy_hide_header Keep-Alive. In HAProxy: http-response del-header Keep-Alive.',
    },
  ]
}

function judgeOriginSide({ isOriginKept, originVersion, second }: Examination): ProxyFinding[] {
  if (isOriginKept || second === 'no-response') return []
  return [
    {
      severity: 'warning',
      code: 'origin-not-kept',
      message: `The proxy sends HTTP/${originVersion} to the origin, and opens a new connection for each request.`,
      change:
        'In nginx: keepalive in the upstream block, proxy_http_version 1.1 and proxy_set_header Connection "". In HAProxy: http-reuse safe, and no option http-server-close.',
    },
  ]
}
