import type { Finding } from './finding.js'
import type { Hop } from './hop.js'
import { inWords } from './in-words.js'
import { LATEST, latestProbe, sendEveryFor, type Timing } from './timing.js'

/** The shortest idle timeout of the hops at layer 4, ms. */
export function shortestMemory(path: readonly Hop[]): number {
  return Math.min(
    Number.POSITIVE_INFINITY,
    ...path.filter(({ layer }) => layer === 4).map(({ idleTimeout }) => idleTimeout),
  )
}

/** The first hop that does not acknowledge every keepalive probe. With one, keepalive ends connections to live peers. */
export function deafHopOf(path: readonly Hop[]): Hop | undefined {
  return path.find(isDeaf)
}

function isDeaf({ answersProbes }: Hop): boolean {
  return answersProbes !== 'yes'
}

/** What a hop does to a connection without traffic or without data. */
function expiryOf({ name, onExpiry, idleTimeout }: Hop, without: 'traffic' | 'data'): string {
  const time = `after ${inWords(idleTimeout)} without ${without}`
  return {
    silent: `${name} drops a connection silently ${time}`,
    reset: `${name} drops a connection ${time} and answers later segments with a reset`,
    close: `${name} closes a connection ${time}`,
    nothing: `${name} keeps a connection`,
  }[onExpiry]
}

/**
 * Findings about the hops of a path, for connections that the kernel probes with this timing. With a deaf hop no connection is probed, so
 * when probes arrive does not matter.
 */
export function judgeHops(path: readonly Hop[], timing: Timing): Finding[] {
  const isProbed = deafHopOf(path) === undefined
  return path.flatMap((hop) => [
    ...(isProbed && hop.layer === 4 && hop.probesCount ? judgeIdleTimeout(hop, timing) : []),
    ...(isDeaf(hop) ? [] : judgeProxy(hop)),
    ...judgeCertainty(hop),
  ])
}

/** Findings about the deaf hops of a path, for connections without keepalive. */
export function judgeDeafHops(
  path: readonly Hop[],
  sendEvery = sendEveryFor(shortestMemory(path)),
): Finding[] {
  return path.filter(isDeaf).map((hop) => ({
    severity: 'warning',
    code: 'probes-not-answered',
    hop: hop.name,
    message: `${probesOf(hop)} Keepalive would end connections to live peers. Without it, the kernel notices a dead peer only with data in flight.`,
    change: sendAdvice(sendEvery),
  }))
}

/** What a deaf hop does with probes and with idle connections. */
export function probesOf(hop: Hop): string {
  const { name, answersProbes, probeSource, probesCount, idleTimeout } = hop
  const which =
    answersProbes === 'no' ? 'acknowledges no keepalive probe' : 'acknowledges only some keepalive probes'
  const note = answersProbes === 'unreliable' && probeSource?.note ? ` (${probeSource.note})` : ''
  const expiry = probesCount || idleTimeout === Number.POSITIVE_INFINITY ? '' : ` ${expiryOf(hop, 'data')}.`
  return `${name} ${which}${note}, although data passes.${expiry}`
}

/** How to notice a dead peer on a path that does not answer probes. */
export function sendAdvice(sendEvery: number): string {
  return `Send data at least every ${inWords(sendEvery)}: a ping of the protocol (HTTP/2, WebSocket) or a query.`
}

function judgeIdleTimeout(hop: Hop, { initialDelay, interval }: Timing): Finding[] {
  const { name, idleTimeout } = hop
  const expiry = expiryOf(hop, 'traffic')
  const change = settable(hop) ?? changeOf(idleTimeout)
  if (initialDelay * LATEST >= idleTimeout) {
    const message = `${expiry}. The first probe, after ${inWords(initialDelay)}, is too late.`
    return [{ severity: 'error', code: 'forgets-before-probe', hop: name, message, change }]
  }
  if ((initialDelay + interval) * LATEST < idleTimeout) return []
  const message = `${expiry}. If the first probe, after ${inWords(initialDelay)}, is lost, the second, after ${inWords(initialDelay + interval)}, may be too late.`
  return [{ severity: 'warning', code: 'forgets-after-lost-probe', hop: name, message, change }]
}

/** The advice for a hop whose timeout is too short for the kernel's probes: under about two seconds. */
function settable({ idleTimeout, setting, name }: Hop): string | undefined {
  if (latestProbe(idleTimeout) * LATEST < idleTimeout) return undefined
  return setting
    ? `Raise ${setting} of ${name}.`
    : `Configure ${name} to keep connections longer, or send data more often.`
}

function changeOf(idleTimeout: number): string {
  const initialDelay = latestProbe(idleTimeout)
  const interval = Math.max(1_000, Math.floor(idleTimeout / 4_000) * 1_000)
  return `Set initialDelay to ${inWords(initialDelay)} or less, and interval to ${inWords(Math.min(initialDelay, interval))} or less.`
}

function judgeProxy(hop: Hop): Finding[] {
  const { name, layer, endsTcp, probesCount, idleTimeout } = hop
  const findings: Finding[] = []
  if (!probesCount && idleTimeout < Number.POSITIVE_INFINITY) {
    findings.push({
      severity: layer === 4 ? 'warning' : 'note',
      code: 'probes-not-counted',
      hop: name,
      message: `${expiryOf(hop, 'data')}. Keepalive probes do not count as data.`,
      change: `To keep a connection open (WebSocket, server-sent events), send data at least every ${inWords(Math.ceil(idleTimeout / 2))}.`,
    })
  }
  if (endsTcp) {
    findings.push({
      severity: 'note',
      code: 'proxy-behind',
      hop: name,
      message: `${name} terminates TCP and opens a second connection. Keepalive probes ${name}, not the host behind it.`,
      change: `To notice that the host behind ${name} is gone, use a ping of the protocol (HTTP/2, WebSocket) or a timeout for each response.`,
    })
  }
  return findings
}

function judgeCertainty({ name, certainty, note, idleTimeout }: Hop): Finding[] {
  if (certainty !== 'uncertain') return []
  const used =
    idleTimeout === Number.POSITIVE_INFINITY
      ? 'The value used is that it keeps connections forever.'
      : `The value used is ${inWords(idleTimeout)}.`
  const message = `The idle timeout of ${name} is uncertain: ${note}. ${used}`
  const change = `If you know the idle timeout, pass it: { name: '${name}', idleTimeout: ms }.`
  return [{ severity: 'note', code: 'hop-uncertain', hop: name, message, change }]
}
