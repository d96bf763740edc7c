import { type Exchange, promiseOf, says } from './exchange.js'
import type { Wording } from './http1.js'

export interface HttpFinding {
  readonly severity: 'error' | 'warning' | 'note'
  readonly code:
    | 'broken-promise'
    | 'connection-died'
    | 'contradiction'
    | 'hop-by-hop-passed-on'
    | 'not-kept'
    | 'repeated-header'
  readonly message: string
}

/** What two requests over one pool show of how the other side keeps connections. */
export function judgeExchanges(
  exchanges: readonly Exchange[],
  wording: Wording | '2',
  idle: number,
): HttpFinding[] {
  const [first, second] = exchanges as [Exchange, Exchange]
  const after = idle > 0 ? ` after ${idle / 1_000} s without a request` : ''
  const findings: HttpFinding[] = []
  if (second.repeatedAfter !== undefined) {
    findings.push({
      severity: 'error',
      code: 'connection-died',
      message: `The second request met a connection that was being closed${after} (${second.repeatedAfter}), and was sent again on another.`,
    })
  } else if (!second.reused) {
    findings.push(...judgeNotKept(first, wording, idle, after))
  }
  for (const exchange of exchanges) findings.push(...judgeHeaders(exchange))
  // What both answers say is said once.
  return findings.filter(({ message }, i) => findings.findIndex((each) => each.message === message) === i)
}

function judgeNotKept(first: Exchange, wording: Wording | '2', idle: number, after: string): HttpFinding[] {
  // What was not asked for is no fault.
  const severity = wording === '1.0' ? 'note' : 'warning'
  const { timeout } = promiseOf(first.headers)
  const promised = timeout !== undefined && timeout > idle
  if (severity === 'warning' && (promised || says(first.headers, 'keep-alive'))) {
    const what = promised ? `Keep-Alive: timeout=${timeout / 1_000}` : 'Connection: keep-alive'
    return [
      {
        severity,
        code: 'broken-promise',
        message: `The first answer promised ${what}, and the connection was closed${after}.`,
      },
    ]
  }
  const said = says(first.headers, 'close') ? ', as the answer said (Connection: close)' : ''
  return [{ severity, code: 'not-kept', message: `The connection was not kept${after}${said}.` }]
}

function judgeHeaders({ httpVersion, headers }: Exchange): HttpFinding[] {
  const findings: HttpFinding[] = headers.repeated.map((name) => ({
    severity: 'warning',
    code: 'repeated-header',
    message: `${name} came in more than one line: a proxy in between has passed on the one behind it, and added its own.`,
  }))
  if (headers.keepAlive === undefined) return findings
  const promise = `Keep-Alive: ${headers.keepAlive}`
  if (says(headers, 'close')) {
    findings.push({
      severity: 'warning',
      code: 'contradiction',
      message: `The answer has both Connection: close and ${promise}: a proxy in between has passed on the one or the other.`,
    })
  } else if (!says(headers, 'keep-alive') && !says(headers, 'upgrade') && httpVersion !== '2') {
    findings.push({
      severity: 'warning',
      code: 'hop-by-hop-passed-on',
      message: `The answer has ${promise} without Connection: keep-alive: a proxy in between has passed it on from behind, and what it promises is not what that proxy does.`,
    })
  }
  return findings
}
