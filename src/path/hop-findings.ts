import type { Finding } from './finding.js'
import type { Hop } from './hop.js'
import { inWords } from './in-words.js'
import { LATEST, latestProbe, type Timing } from './timing.js'

/** How long the most forgetful hop at layer 4 keeps an idle connection. */
export function shortestMemory(path: readonly Hop[]): number {
  return Math.min(
    Number.POSITIVE_INFINITY,
    ...path.filter(({ layer }) => layer === 4).map(({ idleTimeout }) => idleTimeout),
  )
}

/** What a hop does to an idle connection. */
const after = {
  silent: 'forgets a connection without a word',
  reset: 'forgets a connection, and answers with a reset what is sent on it,',
  close: 'closes a connection',
  nothing: 'keeps a connection',
} as const

/** What a path does to connections that are probed so. */
export function judgeHops(path: readonly Hop[], timing: Timing): Finding[] {
  return path.flatMap((hop) => [
    ...(hop.layer === 4 && hop.probesCount ? judgeMemory(hop, timing) : []),
    ...judgeProxy(hop),
    ...judgeCertainty(hop),
  ])
}

function judgeMemory(hop: Hop, { initialDelay, interval }: Timing): Finding[] {
  const { name, idleTimeout } = hop
  const gone = `${name} ${after[hop.onExpiry]} after ${inWords(idleTimeout)}`
  const change = settable(hop) ?? changeOf(idleTimeout)
  if (initialDelay * LATEST >= idleTimeout) {
    return [
      {
        severity: 'error',
        code: 'forgets-before-probe',
        hop: name,
        message: `${gone}: before the first probe of an idle connection, at ${inWords(initialDelay)}.`,
        change,
      },
    ]
  }
  if ((initialDelay + interval) * LATEST < idleTimeout) return []
  return [
    {
      severity: 'warning',
      code: 'forgets-after-lost-probe',
      hop: name,
      message: `${gone}: where the first probe, at ${inWords(initialDelay)}, is lost, the next, at ${inWords(initialDelay + interval)}, may be too late.`,
      change,
    },
  ]
}

/** Under two seconds or so no probe of the kernel's is in time. */
function settable({ idleTimeout, setting, name }: Hop): string | undefined {
  if (latestProbe(idleTimeout) * LATEST < idleTimeout) return undefined
  return setting
    ? `Raise ${setting} of ${name}.`
    : `Have ${name} keep connections for longer, or send data more often.`
}

function changeOf(idleTimeout: number): string {
  const initialDelay = latestProbe(idleTimeout)
  const interval = Math.max(1_000, Math.floor(idleTimeout / 4_000) * 1_000)
  return `Set initialDelay to ${inWords(initialDelay)} or less, and interval to ${inWords(Math.min(initialDelay, interval))} or less.`
}

function judgeProxy({ name, layer, endsTcp, probesCount, idleTimeout, onExpiry }: Hop): Finding[] {
  const findings: Finding[] = []
  if (!probesCount && idleTimeout < Number.POSITIVE_INFINITY) {
    findings.push({
      severity: layer === 4 ? 'warning' : 'note',
      code: 'probes-not-counted',
      hop: name,
      message: `${name} ${after[onExpiry]} after ${inWords(idleTimeout)} without data, whatever keepalive sends.`,
      change: `To hold one open (WebSocket, server-sent events) send data at least every ${inWords(Math.ceil(idleTimeout / 2))}.`,
    })
  }
  if (endsTcp) {
    findings.push({
      severity: 'note',
      code: 'proxy-behind',
      hop: name,
      message: `${name} has a connection of its own on either side: keepalive asks ${name}, not what is behind it.`,
      change: `To notice that what is behind ${name} is gone, use the protocol's own ping (HTTP/2, WebSocket) or a timeout for each answer.`,
    })
  }
  return findings
}

function judgeCertainty({ name, certainty, note, idleTimeout }: Hop): Finding[] {
  if (certainty !== 'uncertain') return []
  return [
    {
      severity: 'note',
      code: 'hop-uncertain',
      hop: name,
      message: `${inWords(idleTimeout)} of ${name} is a cautious guess: ${note}.`,
      change: `Pass the time that yours has, once you know it: { name: '${name}', idleTimeout: ms }.`,
    },
  ]
}
