import { setTimeout as delay } from 'node:timers/promises'
import type { Observation } from '../measured-path.js'
import { BETWEEN_PROBES, type IdleConnection } from './connection.js'
import type { RefreshPlan } from './search.js'

// The life of one connection of a measurement, from idle to its FIN.

/** An observation, before the measurement adds the round and the time. */
export type Observed = Omit<Observation, 'round' | 'at'>

/** A probe leaves once the connection was idle for this time, ms. Earlier there is only the FIN. */
const PROBED_FROM = 1_050
/** A timer may fire early by this much, ms. */
const EARLY = 2
/** The other end's clock started when it received our last segment, and its FIN or RST is seen late: by this at least, ms. */
const END_SEEN_LATE = 50

/** Resolves to `true` after `ms`; to `false` if the connection ends before that, or `signal` is aborted. */
async function quiet(connection: IdleConnection, ms: number, signal: AbortSignal): Promise<boolean> {
  if (connection.end || signal.aborted) return false
  const waiting = new AbortController()
  const stop = () => waiting.abort()
  connection.onEnd = stop
  signal.addEventListener('abort', stop)
  try {
    await delay(Math.max(0, ms), undefined, { signal: waiting.signal })
    return true
  } catch {
    return false
  } finally {
    connection.onEnd = undefined
    signal.removeEventListener('abort', stop)
  }
}

/**
 * Leaves a connection idle for `age` ms, probes it, and half-closes it. A connection on which the other end was heard has been idle for less: the
 * observation says how long.
 *
 * @param attempts how many probes must go unacknowledged before the FIN is sent.
 * @param signal ends the wait. After the first probe it has no effect.
 * @param onAsked called when the wait is over.
 * @returns `undefined` if the signal was aborted before.
 */
export async function observeIdle(
  connection: IdleConnection,
  age: number,
  attempts: number,
  signal: AbortSignal,
  onAsked: () => void,
): Promise<Observed | undefined> {
  const isQuiet = await quiet(connection, age - connection.idle + EARLY, signal)
  if (connection.end) return endedUnasked(connection)
  if (!isQuiet) return undefined
  connection.sample()
  onAsked()
  const { idle, inexact } = connection
  const aliveAt = Math.max(0, idle - inexact)
  const askedAt = performance.now() - idle
  let probes = 0
  while (idle >= PROBED_FROM && probes < attempts) {
    const sentAt = performance.now()
    probes++
    if (await connection.probe()) {
      await connection.halfClose()
      return {
        idle,
        outcome: 'alive',
        aliveAt,
        unasked: false,
        probes,
        acknowledged: 1,
        unacknowledgedAtEnd: 0,
      }
    }
    if (connection.end) break
    if (probes < attempts) await delay(Math.max(0, BETWEEN_PROBES - (performance.now() - sentAt)))
  }
  const counts = { idle, unasked: false, probes, acknowledged: 0, unacknowledgedAtEnd: probes }
  const goneAt = performance.now() - askedAt
  // It closed just when it was to be probed: what came shows that the path was still there.
  if (hasClosed(connection)) return { ...counts, outcome: 'close', aliveAt, goneAt, unasked: true }
  const outcome = await connection.halfClose()
  if (outcome === 'acknowledged') return { ...counts, outcome: 'alive', aliveAt }
  return { ...counts, outcome, aliveAt: 0, goneAt }
}

function hasClosed({ end }: IdleConnection): boolean {
  return end?.outcome === 'close'
}

function endedUnasked(connection: IdleConnection): Observed {
  const { outcome, idle } = connection.end!
  const aliveAt = Math.max(0, idle - connection.inexact - connection.rtt - END_SEEN_LATE)
  return {
    idle,
    outcome,
    aliveAt,
    goneAt: idle,
    unasked: true,
    probes: 0,
    acknowledged: 0,
    unacknowledgedAtEnd: 0,
  }
}

/**
 * Probes an idle connection every `plan().every` ms until it has been idle for `plan().until` ms, and then half-closes it.
 *
 * @param plan read again before each wait, because the bracket becomes narrower meanwhile.
 */
export async function observeProbed(
  connection: IdleConnection,
  plan: () => RefreshPlan,
  signal: AbortSignal,
): Promise<Observed | undefined> {
  const startedAt = performance.now() - connection.idle
  const { every } = plan()
  let [probes, acknowledged, unacknowledgedAtEnd] = [0, 0, 0]
  let unasked = true
  for (;;) {
    const left = plan().until - (performance.now() - startedAt)
    const isQuiet = await quiet(connection, Math.min(every, left), signal)
    if (connection.end) break
    if (!isQuiet) return undefined
    if (performance.now() - startedAt >= plan().until) break
    probes++
    const isAcknowledged = await connection.probe()
    acknowledged += Number(isAcknowledged)
    unacknowledgedAtEnd = isAcknowledged ? 0 : unacknowledgedAtEnd + 1
    unasked = connection.end === undefined
    if (!unasked) break
  }
  const idle = performance.now() - startedAt
  const counts = { idle, probes, acknowledged, unacknowledgedAtEnd, probedEvery: every }
  const end = connection.end
  if (end) return { ...counts, outcome: end.outcome, aliveAt: 0, goneAt: idle, unasked }
  const outcome = await connection.halfClose()
  if (outcome === 'acknowledged') return { ...counts, outcome: 'alive', aliveAt: idle, unasked: false }
  return { ...counts, outcome, aliveAt: 0, goneAt: idle, unasked: false }
}
