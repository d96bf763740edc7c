import { literal } from '../options/check.js'
import { definedOnly, detectionTime, settingsOf } from '../profile/detection-time.js'
import { explain } from '../profile/explain.js'
import type { Profile } from '../profile/profile.js'
import type { Finding, Severity } from './finding.js'
import type { Hop } from './hop.js'
import { deafHopOf, judgeDeafHops, judgeHops, probesOf, sendAdvice, shortestMemory } from './hop-findings.js'
import { chain, httpHops, settingOf, under, upstreamOf } from './http-chain.js'
import { forInWords, inWords } from './in-words.js'
import { timingFor, userTimeoutWithoutProbes } from './timing.js'

// Findings about settings on a path. Pure functions of the settings.

/** How long a client keeps free connections. */
export interface ClientSettings {
  /** The client's name for the setting. */
  readonly setting: string
  /** In ms. `Infinity`: until the other side closes. 0: it does not keep connections. */
  readonly freeSocketTimeout: number
  /** The longest `Keep-Alive: timeout=` of a server that the client obeys, ms. Left out: it ignores the header. */
  readonly obeys?: { readonly setting: string; readonly most: number }
}

/** How long an HTTP server keeps idle connections, ms. 0: no limit, as in Node. */
export interface ServerSettings {
  readonly keepAliveTimeout: number
  /** Node adds it to `keepAliveTimeout`. 0 in versions that do not have it. */
  readonly keepAliveTimeoutBuffer: number
  readonly headersTimeout: number
  readonly requestTimeout: number
}

/**
 * Findings about options that were read back from a connection or a listener.
 *
 * @param isDeaf whether this connection itself has shown that its path passes data and no probes.
 */
export function judgeConnection(profile: Profile, path: readonly Hop[], isDeaf = false): Finding[] {
  if (isDeaf || deafHopOf(path)) return judgeOnDeafPath(profile, path)
  const { enable, initialDelay, interval, count, userTimeout = 0 } = profile
  const shortest = shortestMemory(path)
  const proxies = judgeHops(
    path.filter(({ probesCount, layer }) => !probesCount || layer === 7),
    idleTiming,
  )
  if (!enable) return [keepaliveOff(path, shortest), ...proxies]
  const findings = judgeHops(path, { ...idleTiming, ...definedOnly({ initialDelay, interval, count }) })
  const { idle, inFlight } = detectionTime(profile)
  if (idle > SLOW) {
    const message = `Keepalive is on, but takes ${inWords(idle)} to notice that the peer of an idle connection is gone.`
    const change = `Set initialDelay + interval × count to ${inWords(SLOW)} or less.`
    findings.push({ severity: 'warning', code: 'detection-too-slow', message, change })
  }
  if (userTimeout === 0) {
    findings.push(inFlightUnbounded(inFlight, 'initialDelay + interval × count'))
  }
  for (const { code, message } of explain(profile)) {
    if (code === 'count-never-reached' || code === 'user-timeout-outlasts-count') {
      findings.push({ severity: 'warning', code: 'profile', message, change: matchUserTimeout(profile) })
    }
  }
  return findings
}

function judgeOnDeafPath(profile: Profile, path: readonly Hop[]): Finding[] {
  const { enable, userTimeout = 0 } = profile
  const hop = deafHopOf(path)
  const timing = timingFor(shortestMemory(path))
  const subject = hop ? probesOf(hop) : 'The path of this connection passes data and no keepalive probes.'
  const wanted = literal(userTimeoutWithoutProbes(timing))
  const { idle, inFlight } = detectionTime(profile)
  const findings: Finding[] = []
  if (enable) {
    findings.push({
      severity: 'error',
      code: 'keepalive-on-deaf-path',
      ...(hop && { hop: hop.name }),
      message: `${subject} Keepalive is on, so the kernel ends a connection that is idle for ${inWords(idle)}, although its peer is alive.`,
      change: `Set { enable: false, userTimeout: ${wanted} }. ${sendAdvice(timing.initialDelay)}`,
    })
  } else if (hop) {
    findings.push(...judgeDeafHops(path))
  } else {
    const change = sendAdvice(timing.initialDelay)
    findings.push({ severity: 'warning', code: 'probes-not-answered', message: subject, change })
  }
  if (userTimeout === 0) findings.push(inFlightUnbounded(inFlight, wanted))
  return [...findings, ...judgeHops(path, idleTiming)]
}

function inFlightUnbounded(inFlight: number, wanted: string): Finding {
  const message = `No userTimeout is set. With data in flight, the kernel takes ${inWords(inFlight)} to notice that the peer is gone.`
  return {
    severity: 'warning',
    code: 'in-flight-unbounded',
    message,
    change: `Set userTimeout to ${wanted}.`,
  }
}

function matchUserTimeout(profile: Profile): string {
  const { initialDelay, interval, count } = settingsOf(profile)
  return `Set userTimeout to initialDelay + interval × count, which is ${inWords(initialDelay + interval * count)}.`
}

/** The longest detection time of an idle connection without a warning, ms. With data in flight, the kernel's default is about as long. */
const SLOW = 900_000

/** A placeholder for hops that probes do not affect. */
const idleTiming = { initialDelay: 1_000, interval: 1_000, count: 1 }

function keepaliveOff(path: readonly Hop[], shortest: number): Finding {
  const hop = path.find(({ layer, idleTimeout }) => layer === 4 && idleTimeout === shortest)
  const message = 'Keepalive is off, so the kernel never notices that the peer of an idle connection is gone'
  return {
    severity: 'error',
    code: 'keepalive-off',
    ...(hop && { hop: hop.name }),
    message: hop
      ? `${message}, and ${hop.name} drops the connection after ${inWords(shortest)} without traffic.`
      : `${message}.`,
    change: 'Set the profile that plan({ path }) returns.',
  }
}

/** The client must close an idle connection before the first hop does. */
export function judgeClient(settings: ClientSettings, path: readonly Hop[]): Finding[] {
  const { setting, freeSocketTimeout: free, obeys } = settings
  const [hop] = httpHops(path)
  const { http, findings } = chain(path)
  if (free === 0) {
    const message = 'The client does not keep connections: each request opens a new connection.'
    findings.push({ severity: 'note', code: 'no-reuse', message, change: 'Set keepAlive: true.' })
  }
  if (!hop) return findings
  const closes = `${hop.name} closes them after ${inWords(hop.idleTimeout)}`
  const keeps =
    free === Number.POSITIVE_INFINITY
      ? 'The client keeps free connections until the other side closes them'
      : `The client keeps free connections for ${inWords(free)}`
  const severity = tooLong(free, hop.idleTimeout)
  if (severity) {
    const message = `${keeps}, but ${closes}. A request sent at that moment fails with ECONNRESET.`
    const change = `Set ${setting} to ${inWords(http.freeSocketTimeout)}.`
    findings.push({ severity, code: 'sender-outlasts-receiver', hop: hop.name, message, change })
  } else if (obeys && tooLong(obeys.most, hop.idleTimeout)) {
    const message = `The client obeys a Keep-Alive header ${upTo(obeys.most)}, but ${hop.name} closes idle connections after ${inWords(hop.idleTimeout)}. If ${hop.name} forwards the server's header, the client may keep connections too long.`
    const change = `Set ${obeys.setting} to ${inWords(http.freeSocketTimeout)}.`
    findings.push({ severity: 'note', code: 'sender-outlasts-receiver', hop: hop.name, message, change })
  }
  return findings
}

function upTo(most: number): string {
  return most === Number.POSITIVE_INFINITY ? 'of any length' : `up to ${inWords(most)}`
}

/** The last hop must close an idle connection before the server does. */
export function judgeServer(settings: ServerSettings, path: readonly Hop[]): Finding[] {
  const { http, findings } = chain(path)
  const hop = httpHops(path).at(-1)
  if (!hop) return findings
  const upstream = upstreamOf(hop)
  const kept = unlimited(settings.keepAliveTimeout) + settings.keepAliveTimeoutBuffer
  const { keepAliveTimeout, headersTimeout, requestTimeout } = http.server
  const severity = tooLong(upstream.idleTimeout, kept)
  const sends = `${hop.name} keeps connections to the server idle ${forInWords(upstream.idleTimeout)}`
  const endless = upstream.idleTimeout === Number.POSITIVE_INFINITY
  const limitHop = (most: number) => `Set ${settingOf(hop, upstream)} to less than ${inWords(most)}.`
  if (severity) {
    findings.push({
      severity,
      code: 'sender-outlasts-receiver',
      hop: hop.name,
      message: `${sends}, but the server closes them after ${inWords(kept)}. If ${hop.name} sends a request at that moment, its client gets a 502.`,
      change: endless ? limitHop(kept) : `Set server.keepAliveTimeout to ${inWords(keepAliveTimeout)}.`,
    })
  }
  const untilRefusal = Math.min(unlimited(settings.headersTimeout), unlimited(settings.requestTimeout))
  if (untilRefusal < upstream.idleTimeout) {
    findings.push({
      severity: 'warning',
      code: 'server-refuses-opened-early',
      hop: hop.name,
      message: `${sends}. If it opens a connection before it has a request, the server answers with 408 after ${inWords(untilRefusal)}.`,
      change: endless
        ? limitHop(untilRefusal)
        : `Set server.requestTimeout to ${inWords(requestTimeout)}, and server.headersTimeout to ${inWords(headersTimeout)}.`,
    })
  }
  return findings
}

/** The severity if the sender of requests keeps connections longer than the receiver; `undefined` if it does not. */
function tooLong(sender: number, receiver: number): Severity | undefined {
  if (receiver === Number.POSITIVE_INFINITY || sender === 0) return undefined
  if (sender > receiver) return 'error'
  return sender > under(receiver) ? 'warning' : undefined
}

function unlimited(timeout: number): number {
  return timeout === 0 ? Number.POSITIVE_INFINITY : timeout
}

const order: readonly Severity[] = ['error', 'warning', 'note']

/** Sorts by severity, and removes duplicates. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  const seen = new Map(findings.map((finding) => [finding.message, finding]))
  return [...seen.values()].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity))
}
