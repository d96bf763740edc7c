import type { Finding } from './finding.js'
import type { Hop, IdleTimeout } from './hop.js'
import { forInWords, inWords } from './in-words.js'

/** One of the TCP connections that carry an HTTP request from the client to the server. */
export interface Leg {
  /** The sender of requests: `client`, or a hop. */
  readonly from: string
  /** How long that side keeps it idle, ms. */
  readonly fromTimeout: number
  /** The receiver: a hop, or `server`. */
  readonly to: string
  /** How long that side keeps it idle, ms. */
  readonly toTimeout: number
  /** By how many ms the sender closes it sooner. Negative: it may send on a connection that the receiver is closing. */
  readonly slack: number
}

/** Timeouts for HTTP keep-alive: each sender of requests closes an idle connection before the receiver does. All in ms. */
export interface HttpTimeouts {
  /** How long a client keeps a free connection: `timeout` of `http.Agent`, `freeSocketTimeout` of agentkeepalive. */
  readonly freeSocketTimeout: number
  /** For `new Agent(…)` of undici. */
  readonly undici: {
    /** How long undici keeps a free connection if the server sends no `Keep-Alive: timeout=`. */
    readonly keepAliveTimeout: number
    /** The longest `Keep-Alive: timeout=` that undici obeys. */
    readonly keepAliveMaxTimeout: number
  }
  /** For `http.createServer(…)`. */
  readonly server: {
    /** How long the server keeps an idle connection. */
    readonly keepAliveTimeout: number
    /**
     * Longer than the last hop keeps a connection idle. After this time the server answers 408, also on a connection that the hop has opened
     * and not used yet.
     */
    readonly headersTimeout: number
    /** At least `headersTimeout`: Node refuses less. */
    readonly requestTimeout: number
  }
  /** The connections from the client to the server, with these settings. */
  readonly legs: readonly Leg[]
}

/** How long a client keeps a free connection if no hop limits it. */
const USUAL_FREE = 60_000
/** Node's defaults, ms. They are kept if they are long enough. */
const NODE_HEADERS_TIMEOUT = 60_000
const NODE_REQUEST_TIMEOUT = 300_000

/**
 * The sender's timeout for a receiver's timeout: a quarter less, and at most 5 s less. 5 s is longer than a round trip and a retransmission, so
 * the sender has closed the connection before the receiver does.
 */
export function under(timeout: number): number {
  return timeout === Number.POSITIVE_INFINITY ? timeout : Math.floor(timeout - Math.min(5_000, timeout / 4))
}

/** The receiver's timeout for a sender's timeout: the inverse of `under`. */
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

/** A hop with the timeouts to set on its two sides: towards the client (`down`) and the server (`up`). */
interface HopTimeouts {
  readonly hop: Hop
  readonly down: number
  readonly up: number
}

/**
 * Computes the timeouts along the chain. A fixed timeout stays. A setting is raised if the hop before it keeps connections longer.
 * It is lowered only if the setting of the next hop cannot be raised.
 */
export function chain(path: readonly Hop[]): { http: HttpTimeouts; findings: Finding[] } {
  const set = timeoutsOf(httpHops(path))
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

/** A hop that keeps connections forever sets no limit. */
function finite(timeout: number): number {
  return timeout === Number.POSITIVE_INFINITY ? USUAL_FREE : timeout
}

function timeoutsOf(hops: readonly Hop[]): HopTimeouts[] {
  const most = ceilings(hops)
  const chosen: HopTimeouts[] = []
  for (const [i, hop] of hops.entries()) {
    const before = chosen[i - 1]
    const needed = before ? over(before.up) : 0
    const down = reach(hop, Math.min(Math.max(hop.idleTimeout, needed), most[i]!.down))
    // With one setting for both sides, both are raised together.
    const up = hop.upstream ? reach(hop.upstream, Math.min(hop.upstream.idleTimeout, most[i]!.up)) : down
    chosen.push({ hop, down, up })
  }
  return chosen
}

/** For each hop, the longest timeouts that the hops after it can still exceed. */
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

/** The nearest possible value. */
function reach({ range, idleTimeout }: IdleTimeout, wanted: number): number {
  return range ? Math.max(range[0], Math.min(range[1], wanted)) : idleTimeout
}

function legsOf(free: number, set: readonly HopTimeouts[], served: number): Leg[] {
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

function changes({ hop, down, up }: HopTimeouts, before: HopTimeouts | undefined): Finding[] {
  const upstream = upstreamOf(hop)
  const findings: Finding[] = []
  if (before && before.up > down) {
    findings.push({
      severity: 'error',
      code: 'sender-outlasts-receiver',
      hop: hop.name,
      message: `${before.hop.name} keeps connections to ${hop.name} idle ${forInWords(before.up)}, but ${hop.name} closes them after ${inWords(down)}, and neither timeout can be changed. Some requests arrive on a connection that ${hop.name} is closing.`,
      change: `Configure ${before.hop.name} to retry such requests, or to open a new connection for each request.`,
    })
  } else if (before && down > hop.idleTimeout) {
    findings.push({
      severity: 'warning',
      code: 'raise-hop',
      hop: hop.name,
      message: `${before.hop.name} keeps connections to ${hop.name} idle ${forInWords(before.up)}, but ${hop.name} closes them after ${inWords(hop.idleTimeout)}. Some requests arrive on a connection that ${hop.name} is closing.`,
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

/** The name of the setting, for a message. */
export function settingOf(hop: Hop, { setting }: IdleTimeout): string {
  return setting ? `${setting} of ${hop.name}` : `the idle timeout of ${hop.name}`
}
