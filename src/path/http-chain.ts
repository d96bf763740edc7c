import type { Finding } from './finding.js'
import type { Hop, IdleTimeout } from './hop.js'
import { forInWords, inWords } from './in-words.js'

/** One of the TCP connections, in order, that carry an HTTP request. */
export interface Leg {
  /** The sender of requests: `client`, or a hop. */
  readonly from: string
  /** How long that side keeps it idle, ms. */
  readonly fromTimeout: number
  /** The receiver: a hop, or `server`. */
  readonly to: string
  /** How long that side keeps it idle, ms. */
  readonly toTimeout: number
  /** How much sooner the sender closes it, ms. Negative: it may send on a connection that is being closed. */
  readonly slack: number
}

/** Timeouts for HTTP keep-alive: each sender of requests closes an idle connection before the receiver does. All in ms. */
export interface HttpTimeouts {
  /** How long a client keeps a free connection: `timeout` of `http.Agent`, `freeSocketTimeout` of agentkeepalive. */
  readonly freeSocketTimeout: number
  /** For `new Agent(…)` of undici. */
  readonly undici: {
    /** How long it keeps a free connection if the server sends no `Keep-Alive: timeout=`. */
    readonly keepAliveTimeout: number
    /** The longest `Keep-Alive: timeout=` that it obeys. */
    readonly keepAliveMaxTimeout: number
  }
  /** For `http.createServer(…)`. */
  readonly server: {
    /** How long it keeps an idle connection. */
    readonly keepAliveTimeout: number
    /**
     * Longer than the last hop keeps a connection idle: the server answers 408 after this time, also on a connection that the hop opened
     * ahead and has not used yet.
     */
    readonly headersTimeout: number
    /** Not less than `headersTimeout`, which Node refuses. */
    readonly requestTimeout: number
  }
  /** From the client to the server, with these settings. */
  readonly legs: readonly Leg[]
}

/** How long a client keeps a free connection if no hop limits it. */
const USUAL_FREE = 60_000
/** Node's defaults, which are kept if they are long enough. */
const NODE_HEADERS_TIMEOUT = 60_000
const NODE_REQUEST_TIMEOUT = 300_000

/**
 * The timeout of the sender for a receiver's timeout. A close must arrive before the sender sends, so it is a quarter less, at most 5 s,
 * which is more than a round trip and a retransmission take.
 */
export function under(timeout: number): number {
  return timeout === Number.POSITIVE_INFINITY ? timeout : Math.floor(timeout - Math.min(5_000, timeout / 4))
}

/** The inverse of `under`. */
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

/** A hop with the timeouts to set. */
interface Settled {
  readonly hop: Hop
  readonly down: number
  readonly up: number
}

/**
 * Computes the timeouts along the chain. A fixed timeout stays. A setting is raised if the hop before it keeps connections longer,
 * and lowered only if the next hop cannot be raised.
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

/** A hop that keeps connections for ever sets no limit. */
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
    // With one setting for both sides, both are raised together.
    const up = hop.upstream ? reach(hop.upstream, Math.min(hop.upstream.idleTimeout, most[i]!.up)) : down
    settled.push({ hop, down, up })
  }
  return settled
}

/** The longest timeouts of each hop above which the hops after it can still be raised. */
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

/** The name of the setting, for a message. */
export function settingOf(hop: Hop, { setting }: IdleTimeout): string {
  return setting ? `${setting} of ${hop.name}` : `the idle timeout of ${hop.name}`
}
