import { detectionTime } from '../socket/detection-time.js'
import { explain } from '../socket/explain.js'
import type { Profile } from '../socket/profile.js'
import type { Finding, Severity } from './finding.js'
import type { Hop } from './hop.js'
import { judgeHops, shortestMemory } from './hop-findings.js'
import { chain, httpHops, settingOf, under, upstreamOf } from './http-chain.js'
import { inWords } from './in-words.js'

// What settings that somebody has come to on a path. Pure functions of what was read.

/** What a client keeps free connections for. */
export interface ClientSettings {
  /** How the setting is called there. */
  readonly setting: string
  /** ms; `Infinity`: until the other side closes. 0: connections are not kept. */
  readonly freeSocketTimeout: number
  /** How far a server's `Keep-Alive: timeout=` is believed, ms; where it is. */
  readonly believes?: { readonly setting: string; readonly most: number }
}

/** What an HTTP server keeps idle connections for, ms. 0 is without limit, as Node has it. */
export interface ServerSettings {
  readonly keepAliveTimeout: number
  /** How much longer it really waits. Newer versions of Node. */
  readonly keepAliveTimeoutBuffer: number
  readonly headersTimeout: number
  readonly requestTimeout: number
}

/** Options that were read back from a connection, or from what listens. */
export function judgeConnection(profile: Profile, path: readonly Hop[]): Finding[] {
  const { enable, initialDelay, interval, count, userTimeout = 0 } = profile
  const memory = shortestMemory(path)
  const proxies = judgeHops(
    path.filter(({ probesCount, layer }) => !probesCount || layer === 7),
    idleTiming,
  )
  if (!enable) return [keepaliveOff(path, memory), ...proxies]
  const findings = judgeHops(path, { ...idleTiming, ...defined({ initialDelay, interval, count }) })
  const { idle } = detectionTime(profile)
  if (idle > SLOW) {
    findings.push({
      severity: 'warning',
      code: 'detection-too-slow',
      message: `Keepalive is on, and takes ${inWords(idle)} to notice a peer that vanishes while nothing is in flight.`,
      change: `Set initialDelay + interval × count to ${inWords(SLOW)} or less.`,
    })
  }
  if (userTimeout === 0) {
    findings.push({
      severity: 'warning',
      code: 'in-flight-unbounded',
      message: `There is no userTimeout: a peer that vanishes with data in flight is noticed after ${inWords(detectionTime(profile).inFlight)}.`,
      change: 'Set userTimeout to initialDelay + interval × count.',
    })
  }
  for (const { code, message } of explain(profile)) {
    if (code === 'count-never-reached' || code === 'user-timeout-outlasts-count') {
      findings.push({ severity: 'warning', code: 'profile', message })
    }
  }
  return findings
}

/** What the kernel takes with data in flight, by default: an idle connection need not take longer, ms. */
const SLOW = 900_000

/** For hops that no timing of probes makes a difference to. */
const idleTiming = { initialDelay: 1_000, interval: 1_000, count: 1 }

function defined<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>
  }
}

function keepaliveOff(path: readonly Hop[], memory: number): Finding {
  const hop = path.find(({ layer, idleTimeout }) => layer === 4 && idleTimeout === memory)
  const message = 'Keepalive is off: a peer that vanishes while nothing is in flight is never noticed'
  return {
    severity: 'error',
    code: 'keepalive-off',
    ...(hop && { hop: hop.name }),
    message: hop
      ? `${message}, and ${hop.name} drops the connection after ${inWords(memory)} of silence.`
      : `${message}.`,
    change: 'Set the profile that plan({ path }) gives.',
  }
}

/** The side that sends requests: it must give a connection up before the first hop does. */
export function judgeClient(settings: ClientSettings, path: readonly Hop[]): Finding[] {
  const { setting, freeSocketTimeout: free, believes } = settings
  const [hop] = httpHops(path)
  const { http, findings } = chain(path)
  if (free === 0) {
    findings.push({
      severity: 'note',
      code: 'no-reuse',
      message: 'Connections are not kept: each request opens one of its own.',
      change: 'Set keepAlive: true.',
    })
  }
  if (!hop) return findings
  const change = `Set ${setting} to ${inWords(http.freeSocketTimeout)}.`
  const closes = `${hop.name} closes them after ${inWords(hop.idleTimeout)}`
  const keeps =
    free === Number.POSITIVE_INFINITY
      ? 'Free connections are kept until the other side closes them'
      : `Free connections are kept for ${inWords(free)}`
  const severity = tooLong(free, hop.idleTimeout)
  if (severity) {
    findings.push({
      severity,
      code: 'sender-outlasts-receiver',
      hop: hop.name,
      message: `${keeps}, ${closes}: a request that leaves as it does fails with ECONNRESET.`,
      change,
    })
  } else if (believes && tooLong(believes.most, hop.idleTimeout)) {
    findings.push({
      severity: 'note',
      code: 'sender-outlasts-receiver',
      hop: hop.name,
      message: `A Keep-Alive header is believed up to ${inWords(believes.most)}, ${closes}: one that is passed on from behind ${hop.name} promises too much.`,
      change: `Set ${believes.setting} to ${inWords(http.freeSocketTimeout)}.`,
    })
  }
  return findings
}

/** The side that answers: the last hop must give a connection up before it does. */
export function judgeServer(settings: ServerSettings, path: readonly Hop[]): Finding[] {
  const { http, findings } = chain(path)
  const hop = httpHops(path).at(-1)
  if (!hop) return findings
  const upstream = upstreamOf(hop)
  const kept = unlimited(settings.keepAliveTimeout) + settings.keepAliveTimeoutBuffer
  const { keepAliveTimeout, headersTimeout, requestTimeout } = http.server
  const severity = tooLong(upstream.idleTimeout, kept)
  const sends = `${hop.name} keeps connections to the server idle for ${inWords(upstream.idleTimeout)}`
  if (severity) {
    const endless = upstream.idleTimeout === Number.POSITIVE_INFINITY
    findings.push({
      severity,
      code: 'sender-outlasts-receiver',
      hop: hop.name,
      message: `${sends}, the server closes them after ${inWords(kept)}: a request that ${hop.name} sends as it does is answered with 502.`,
      change: endless
        ? `Set ${settingOf(hop, upstream)} to less than ${inWords(kept)}.`
        : `Set server.keepAliveTimeout to ${inWords(keepAliveTimeout)}.`,
    })
  }
  const patience = Math.min(unlimited(settings.headersTimeout), unlimited(settings.requestTimeout))
  if (patience < upstream.idleTimeout) {
    findings.push({
      severity: 'warning',
      code: 'server-refuses-opened-early',
      hop: hop.name,
      message: `${sends}; one that is opened ahead, before there is a request for it, the server answers with 408 after ${inWords(patience)}.`,
      change: `Set server.requestTimeout to ${inWords(requestTimeout)}, and server.headersTimeout to ${inWords(headersTimeout)}.`,
    })
  }
  return findings
}

/** How bad it is that a side that sends keeps connections for so long, and the side that answers for so long. */
function tooLong(sender: number, receiver: number): Severity | undefined {
  if (receiver === Number.POSITIVE_INFINITY || sender === 0) return undefined
  if (sender > receiver) return 'error'
  return sender > under(receiver) ? 'warning' : undefined
}

function unlimited(timeout: number): number {
  return timeout === 0 ? Number.POSITIVE_INFINITY : timeout
}

const order: readonly Severity[] = ['error', 'warning', 'note']

/** The worst first, nothing twice. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  const seen = new Map(findings.map((finding) => [finding.message, finding]))
  return [...seen.values()].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity))
}
