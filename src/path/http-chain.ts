import type { Finding } from './finding.js'
import type { Hop, IdleTimeout } from './hop.js'
import { forInWords, inWords } from './in-words.js'

/** One of the TCP connections that an HTTP request goes over, one after the other. */
export interface Leg {
  /** Who sends requests on it: `client`, or a hop. */
  readonly from: string
  /** How long that side keeps it idle, ms. */
  readonly fromTimeout: number
  /** Who answers: a hop, or `server`. */
  readonly to: string
  /** How long that side keeps it idle, ms. */
  readonly toTimeout: number
  /** How much sooner the side that sends gives up, ms. Negative: it may send on a connection that is being closed. */
  readonly slack: number
}

/** What follows for HTTP keep-alive: each side that sends requests gives a connection up before the side that answers. All in ms. */
export interface HttpTimeouts {
  /** How long a client keeps a free connection: `timeout` of `http.Agent`, `freeSocketTimeout` of agentkeepalive. */
  readonly freeSocketTimeout: number
  /** For `new Agent(…)` of undici. What a server promises in `Keep-Alive: timeout=` is believed up to the same. */
  readonly undici: {
    /** How long it keeps a free connection where the server promises nothing. */
    readonly keepAliveTimeout: number
    /** How long it keeps one at most, whatever the server promises. */
    readonly keepAliveMaxTimeout: number
  }
  /** For `http.createServer(…)`. */
  readonly server: {
    /** How long it keeps a connection on which no request comes. */
    readonly keepAliveTimeout: number
    /**
     * Longer than the last hop keeps a connection idle: also one that it has opened ahead, and on which no request has come yet,
     * is answered with 408 after this time.
     */
    readonly headersTimeout: number
    /** Not under `headersTimeout`, which Node would refuse. */
    readonly requestTimeout: number
  }
  /** From the client to the server, as they are to be set. */
  readonly legs: readonly Leg[]
}

/** Without a hop that says otherwise, a client keeps a free connection for a minute. */
const USUAL_FREE = 60_000
/** Node's own, which are kept where they are long enough. */
const NODE_HEADERS_TIMEOUT = 60_000
const NODE_REQUEST_TIMEOUT = 300_000

/**
 * How much sooner the side that sends gives up: a close must arrive before it sends. A quarter, at most 5 s, which is more than a
 * round trip and a retransmission take.
 */
export function under(timeout: number): number {
  return timeout === Number.POSITIVE_INFINITY ? timeout : Math.floor(timeout - Math.min(5_000, timeout / 4))
}

/** The least that `under` brings down to it. */
function over(timeout: number): number {
  return timeout === Number.POSITIVE_INFINITY ? timeout : Math.ceil(timeout + Math.min(5_000, timeout / 3))
}

export function httpHops(path: readonly Hop[]): Hop[] {
  return path.filter(({ protocol }) => protocol === 'http')
}

/** How long a hop keeps a connection towards the server. */
export function upstreamOf(hop: Hop): IdleTimeout {
  return hop.upstream ?? hop
}

/** A hop as it is to be set. */
interface Settled {
  readonly hop: Hop
  readonly down: number
  readonly up: number
}

/**
 * The timeouts along the chain. What cannot be set stays; what can is raised where the hop before it keeps connections for longer,
 * and lowered only where the next cannot be raised.
 */
export function chain(path: readonly Hop[]): { http: HttpTimeouts; findings: Finding[] } {
  const set = settle(httpHops(path))
  const first = set[0]
  const last = set.at(-1)
  const free = first ? finite(under(first.down)) : USUAL_FREE
  const served = over(finite(last ? last.up : free))
  const headersTimeout = Math.max(NODE_HEADERS_TIMEOUT, served + 1_000)
  return {
    http: {
      freeSocketTimeout: free,
      undici: { keepAliveTimeout: free, keepAliveMaxTimeout: free },
      server: {
        keepAliveTimeout: served,
        headersTimeout,
        requestTimeout: Math.max(NODE_REQUEST_TIMEOUT, headersTimeout),
      },
      legs: legsOf(free, set, served),
    },
    findings: set.flatMap((each, i) => changes(each, set[i - 1])),
  }
}

/** A hop that keeps connections for ever asks for nothing. */
function finite(timeout: number): number {
  return timeout === Number.POSITIVE_INFINITY ? USUAL_FREE : timeout
}

function settle(hops: readonly Hop[]): Settled[] {
  const most = ceilings(hops)
  const settled: Settled[] = []
  for (const [i, hop] of hops.entries()) {
    const before = settled[i - 1]
    const needed = before ? over(before.up) : 0
    const down = reach(hop, Math.min(Math.max(hop.idleTimeout, needed), most[i]!.down))
    // With one setting for both sides, what was raised for the one is raised for the other.
    const up = hop.upstream ? reach(hop.upstream, Math.min(hop.upstream.idleTimeout, most[i]!.up)) : down
    settled.push({ hop, down, up })
  }
  return settled
}

/** The longest that each may keep connections, so that those after it can still be raised above it. */
function ceilings(hops: readonly Hop[]): { down: number; up: number }[] {
  const most: { down: number; up: number }[] = []
  let next = Number.POSITIVE_INFINITY
  for (const hop of hops.toReversed()) {
    const up = Math.min(longest(upstreamOf(hop)), under(next))
    const down = hop.upstream ? longest(hop) : up
    most.unshift({ down, up })
    next = down
  }
  return most
}

function longest({ range, idleTimeout }: IdleTimeout): number {
  return range ? range[1] : idleTimeout
}

/** What cannot be set stays as it is. */
function reach({ range, idleTimeout }: IdleTimeout, wanted: number): number {
  return range ? Math.max(range[0], Math.min(range[1], wanted)) : idleTimeout
}

function legsOf(free: number, set: readonly Settled[], served: number): Leg[] {
  const senders = [
    { name: 'client', timeout: free },
    ...set.map(({ hop, up }) => ({ name: hop.name, timeout: up })),
  ]
  const receivers = [
    ...set.map(({ hop, down }) => ({ name: hop.name, timeout: down })),
    { name: 'server', timeout: served },
  ]
  return senders.map((from, i) => leg(from, receivers[i]!))
}

function leg(from: { name: string; timeout: number }, to: { name: string; timeout: number }): Leg {
  const endless = from.timeout === Number.POSITIVE_INFINITY && to.timeout === Number.POSITIVE_INFINITY
  return {
    from: from.name,
    fromTimeout: from.timeout,
    to: to.name,
    toTimeout: to.timeout,
    slack: endless ? 0 : to.timeout - from.timeout,
  }
}

function changes({ hop, down, up }: Settled, before: Settled | undefined): Finding[] {
  const upstream = upstreamOf(hop)
  const findings: Finding[] = []
  if (before && before.up > down) {
    findings.push({
      severity: 'error',
      code: 'sender-outlasts-receiver',
      hop: hop.name,
      message: `${before.hop.name} keeps connections to ${hop.name} idle ${forInWords(before.up)}, but ${hop.name} closes them after ${inWords(down)}, and neither can be set. Some requests arrive on a connection that is being closed.`,
      change: `Configure ${before.hop.name} to retry requests that fail this way, or to open a connection for each request.`,
    })
  } else if (before && down > hop.idleTimeout) {
    findings.push({
      severity: 'warning',
      code: 'raise-hop',
      hop: hop.name,
      message: `${before.hop.name} keeps connections to ${hop.name} idle ${forInWords(before.up)}, but ${hop.name} closes them after ${inWords(hop.idleTimeout)}. Some requests arrive on a connection that is being closed.`,
      change: `Set ${settingOf(hop, hop)} to ${inWords(down)}.`,
    })
  }
  if (up < upstream.idleTimeout) {
    findings.push({
      severity: 'warning',
      code: 'sender-outlasts-receiver',
      hop: hop.name,
      message: `${hop.name} keeps connections to the next hop idle ${forInWords(upstream.idleTimeout)}, and the next hop cannot be set to keep them longer.`,
      change: `Set ${settingOf(hop, upstream)} to ${inWords(up)}.`,
    })
  }
  return findings
}

/** What to set, in words. */
export function settingOf(hop: Hop, { setting }: IdleTimeout): string {
  return setting ? `${setting} of ${hop.name}` : `the idle timeout of ${hop.name}`
}
