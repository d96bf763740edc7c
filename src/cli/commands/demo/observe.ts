import { setTimeout as delay } from 'node:timers/promises'
import { sampleTcpInfo, TcpState } from '../../../index.js'
import type { Asked, Death, DemoEvent, Outcome, Summary } from './events.js'
import { openPool, type Pool } from './pool.js'
import { latest, missedBy } from './prediction.js'
import type { Connection, Scene, Silenced } from './scene.js'
import { seconds } from './words.js'

const SAMPLE_EVERY = 50

/** The limit that keeps the whole demo below 20 s. */
const LONGEST = 15_000

interface Observed extends Silenced {
  unanswered: number
  /** When a sample first showed that the kernel has given up. */
  gaveUpAt?: number
  death?: Death
}

/**
 * Makes the peers vanish and reports what happens to the connections, until every connection that can die has died.
 *
 * @throws AbortError when `signal` is aborted.
 */
export async function observe(
  scene: Scene,
  emit: (event: DemoEvent) => void,
  signal: AbortSignal,
): Promise<Summary> {
  const pool = openPool(signal)
  try {
    return await observeAll(scene, pool, emit, signal)
  } finally {
    await pool.then(
      (open) => open.close(),
      () => {},
    )
  }
}

async function observeAll(
  scene: Scene,
  pool: Promise<Pool>,
  emit: Emit,
  signal: AbortSignal,
): Promise<Summary> {
  for (const { name, label, profile, predicted } of scene.connections) {
    emit({ t: 0, event: 'open', connection: name, label, profile, predicted: orNever(predicted) })
  }
  const connections: Observed[] = (await scene.silence()).map((silenced) => ({ ...silenced, unanswered: 0 }))
  const start = performance.now()
  const clock = () => Math.round(performance.now() - start)
  emit({ t: 0, event: 'silence' })

  const listeners = connections.map((connection) => listen(connection, clock, emit))
  try {
    while (!isOver(connections, clock())) {
      await delay(SAMPLE_EVERY, undefined, { signal })
      for (const connection of connections) sample(connection, clock, emit)
    }
  } finally {
    for (const stop of listeners) stop()
  }

  const asked = await probePool(await pool, clock, emit)
  for (const { name, predicted, death } of connections) {
    if (!death) emit({ t: clock(), event: 'waiting', connection: name, predicted: orNever(predicted) })
  }
  const summary = summarize(connections, asked, clock())
  emit(summary)
  return summary
}

type Clock = () => number
type Emit = (event: DemoEvent) => void

/** Reports what Node notices. */
function listen(connection: Observed, clock: Clock, emit: Emit): () => void {
  const { socket, name } = connection
  const onClose = () => {
    const error = (socket.errored as NodeJS.ErrnoException | null)?.code ?? null
    if (connection.death) {
      const actual = since(connection, performance.now())
      connection.death = { ...connection.death, noticed: true, error }
      emit({ t: clock(), event: 'noticed', connection: name, error, actual })
    } else {
      declareDead(connection, { noticed: true, error }, performance.now(), clock, emit)
    }
  }
  socket.once('close', onClose)
  return () => socket.off('close', onClose)
}

/** Reports what the kernel notices, whether Node does or not. */
function sample(connection: Observed, clock: Clock, emit: Emit): void {
  const { socket, name } = connection
  if (socket.destroyed || connection.death) return
  // The kernel's count, which includes the probes of the heartbeat.
  const [state, probes = 0] = sampleTcpInfo([socket], ['state', 'probes'])
  if (state === TcpState.CLOSE) {
    // Node may be about to report it, and has until the next sample.
    if (connection.gaveUpAt === undefined) connection.gaveUpAt = performance.now()
    else declareDead(connection, { noticed: false, error: null }, connection.gaveUpAt, clock, emit)
  } else if (probes !== connection.unanswered) {
    connection.unanswered = probes
    emit({ t: clock(), event: 'probe', connection: name, unanswered: probes })
  }
}

function declareDead(
  connection: Observed,
  how: { noticed: boolean; error: string | null },
  at: number,
  clock: Clock,
  emit: Emit,
): void {
  const { name, predicted } = connection
  connection.death = {
    t: clock(),
    event: 'death',
    connection: name,
    ...how,
    predicted: orNever(predicted),
    actual: since(connection, at),
  }
  emit(connection.death)
}

function isOver(connections: readonly Observed[], t: number): boolean {
  const awaited = connections.filter(({ predicted, death }) => Number.isFinite(predicted) && !death)
  return awaited.every(({ predicted }) => t > Math.min(LONGEST, latest(predicted) + SAMPLE_EVERY))
}

function summarize(connections: readonly Observed[], asked: Asked, t: number): Summary {
  const failures = connections
    .filter(({ tuned }) => tuned)
    .flatMap((connection) => failureOf(connection) ?? [])
    .concat(poolFailures(asked))
  return {
    t,
    event: 'summary',
    ok: failures.length === 0,
    failures,
    connections: connections.map(outcomeOf),
  }
}

function failureOf({ name, predicted, death }: Observed): string | undefined {
  const prediction = `predicted ${seconds(predicted, 2)}, at most ${seconds(latest(predicted), 2)}`
  if (!death) return `connection ${name} had not died by the end: ${prediction}`
  const missed = Math.round(missedBy(predicted, death.actual))
  if (missed === 0) return undefined
  const how = missed < 0 ? `${-missed} ms too early` : `${missed} ms too late`
  return `connection ${name} died after ${seconds(death.actual, 2)}, ${how}: ${prediction}`
}

async function probePool(pool: Pool, clock: Clock, emit: Emit): Promise<Asked> {
  const vanished = await pool.vanish()
  emit({ t: clock(), event: 'vanished', connections: pool.size, vanished })
  const asked: Asked = { t: 0, event: 'asked', ...(await pool.ask()) }
  emit({ ...asked, t: clock() })
  return asked
}

function poolFailures({ wrong, answered, untouched }: Asked): string[] {
  const failures: string[] = []
  if (wrong > 0) failures.push(`${wrong} verdicts on the pool were wrong`)
  if (untouched < answered)
    failures.push(`${answered - untouched} live connections of the pool were changed or closed`)
  return failures
}

function outcomeOf({ name, predicted, death }: Observed): Outcome {
  const state = death === undefined ? 'open' : death.noticed ? 'dead' : 'zombie'
  return { connection: name, state, predicted: orNever(predicted), actual: death?.actual ?? null }
}

function since({ heardAt }: Silenced, at: number): number {
  return Math.round(at - heardAt)
}

/** JSON has no Infinity. */
function orNever(predicted: Connection['predicted']): number | null {
  return Number.isFinite(predicted) ? predicted : null
}
