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

/** Findings from two requests over one pool about how the server keeps connections. */
export function judgeExchanges(
  exchanges: readonly Exchange[],
  wording: Wording | '2',
  idle: number,
): HttpFinding[] {
  const [first, second] = exchanges as [Exchange, Exchange]
  const findings: HttpFinding[] = []
  if (second.repeatedAfter !== undefined) findings.push(judgeDied(first, second.repeatedAfter, idle))
  else if (!second.reused) findings.push(judgeNotKept(first, wording))
  for (const exchange of exchanges) findings.push(...judgeHeaders(exchange))
  // A message that applies to both responses appears once.
  return findings.filter(({ message }, i) => findings.findIndex((each) => each.message === message) === i)
}

/** The second request was sent while the server closed the connection. */
function judgeDied({ headers }: Exchange, error: string, idle: number): HttpFinding {
  const died = `The server was closing the connection${afterWords(idle)} when the second request arrived (${error}). It was retried on a new connection.`
  const { timeout } = promiseOf(headers)
  if (timeout !== undefined && isAsSaid(timeout, idle)) {
    return {
      severity: 'note',
      code: 'not-kept',
      message: `${died} The server had announced this: Keep-Alive: timeout=${timeout / 1_000}. A client must close an idle connection earlier.`,
    }
  }
  return { severity: 'error', code: 'connection-died', message: died }
}

/** The second request needed a new connection. */
function judgeNotKept(first: Exchange, wording: Wording | '2'): HttpFinding {
  const { headers, httpVersion, goaway, closedAfter = 0, closedAtOnce = true } = first
  const { timeout, max } = promiseOf(headers)
  // An HTTP/1.0 request did not ask the server to keep the connection.
  const severity = wording === '1.0' ? 'note' : 'warning'
  const notKept = (why: string): HttpFinding => ({
    severity,
    code: 'not-kept',
    message: `The connection was not kept${why}.`,
  })
  const after = closedAtOnce ? '' : afterWords(closedAfter)
  // Connection: close overrides the other headers: RFC 9112, 9.3.
  if (says(headers, 'close')) return notKept(', as the answer said (Connection: close)')
  if (max !== undefined && max <= 1) return notKept(`, as the answer said (Keep-Alive: max=${max})`)
  if (timeout === 0) return notKept(', as the answer said (Keep-Alive: timeout=0)')
  if (timeout !== undefined && isAsSaid(timeout, closedAfter)) {
    return {
      severity: 'note',
      code: 'not-kept',
      message: `The connection was closed${after}, as the answer said (Keep-Alive: timeout=${timeout / 1_000}).`,
    }
  }
  const promised = timeout !== undefined ? `Keep-Alive: timeout=${timeout / 1_000}` : 'Connection: keep-alive'
  const isPromised = timeout !== undefined || (says(headers, 'keep-alive') && closedAtOnce)
  if (isPromised && wording !== '1.0') {
    return {
      severity,
      code: 'broken-promise',
      message: `The first answer promised ${promised}, and the connection was closed${after}.`,
    }
  }
  if (goaway !== undefined) return notKept(`${after}: the server ended it by GOAWAY, ${goawayWords(goaway)}`)
  if (httpVersion === '1.0' && !says(headers, 'keep-alive')) {
    return notKept(', which is the default of HTTP/1.0')
  }
  return notKept(`${after}, and no time was promised`)
}

/** Servers round to whole seconds, so a client must expect one second less. */
function isAsSaid(timeout: number, closedAfter: number): boolean {
  return closedAfter >= timeout - Math.min(1_000, timeout / 2)
}

function afterWords(idle: number): string {
  return idle === 0 ? '' : ` after ${Math.round(idle / 100) / 10} s without a request`
}

function goawayWords(code: number): string {
  return code === 0 ? 'in good order' : `with error ${code}`
}

function judgeHeaders({ httpVersion, headers }: Exchange): HttpFinding[] {
  const findings: HttpFinding[] = headers.repeated.map((name) => ({
    severity: 'warning',
    code: 'repeated-header',
    message: `The answer has more than one ${name} line: a proxy has forwarded the server's line and added its own.`,
  }))
  if (headers.keepAlive === undefined) return findings
  const promise = `Keep-Alive: ${headers.keepAlive}`
  if (says(headers, 'close')) {
    findings.push({
      severity: 'warning',
      code: 'contradiction',
      message: `The answer has both Connection: close and ${promise}: a proxy has forwarded one of the two.`,
    })
  } else if (!says(headers, 'keep-alive') && !says(headers, 'upgrade') && httpVersion !== '2') {
    findings.push({
      severity: 'warning',
      code: 'hop-by-hop-passed-on',
      message: `The answer has ${promise} without Connection: keep-alive: a proxy has forwarded the server's header, and may close the connection earlier.`,
    })
  }
  return findings
}
