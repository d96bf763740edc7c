import { inWords } from '../../../path/in-words.js'
import { type MeasuredPath, type MeasureProgress, measure, type Observation } from '../../../path/index.js'
import { Progress } from '../../lib/progress.js'
import { columns } from '../../lib/table.js'
import { complain, paint, write } from '../../lib/terminal.js'
import { Misuse } from '../../lib/usage.js'
import type { DestinationArgument } from './destination-argument.js'

export interface MeasureCommandOptions {
  readonly destination?: DestinationArgument
  readonly listen?: number
  readonly upTo: number
  readonly connections: number
  readonly tls?: boolean
  readonly http?: boolean
  readonly json?: boolean
}

/** Measures a path and prints the result, also a partial one. Returns the exit code: 1 if the measurement is not complete. */
export async function measureCommand(options: MeasureCommandOptions, signal: AbortSignal): Promise<number> {
  const { destination, listen, upTo, connections, tls = false, http = false, json } = options
  checkSide(options)
  const isTerminal = process.stderr.isTTY && process.env.TERM !== 'dumb'
  const progress = new Progress('measuring')
  let measured: MeasuredPath
  try {
    measured = await measure({
      ...(destination ?? { listen: listen! }),
      upTo,
      connections,
      tls,
      http,
      signal,
      onProgress: isTerminal ? (each) => progress.say(progressWords(each)) : plainLines(),
    })
  } finally {
    progress.end()
  }
  if (json) write(JSON.stringify(measured, undefined, 2))
  else show(measured)
  return measured.complete ? 0 : 1
}

/** @throws {@link Misuse} */
function checkSide({ destination, listen, tls, http }: MeasureCommandOptions): void {
  if (destination === undefined && listen === undefined) {
    throw new Misuse('<destination> or --listen is missing; --help shows what this command takes')
  }
  if (listen === undefined) return
  if (destination) throw new Misuse('--listen does not take a <destination>: the other end connects')
  if (tls || http)
    throw new Misuse('--listen does not take --tls or --http: it accepts plain TCP connections')
}

/** Writes a line to stderr for each observation, and when something else begins. */
function plainLines(): (progress: MeasureProgress) => void {
  let doing: string | undefined
  return (progress) => {
    const isNew = progress.doing !== doing
    doing = progress.doing
    if (progress.observation) complain(observationWords(progress.observation))
    else if (isNew) complain(progressWords(progress))
  }
}

const tasks = {
  waiting: 'waiting for connections from the other side',
  searching: 'no limit so far',
  narrowing: 'narrowing the limit',
  holding: 'the other side measures; keep this running',
} as const

function progressWords({ doing, timeLeft, open, idleLimit }: MeasureProgress): string {
  return [
    idleLimit ? `limit between ${seconds(idleLimit.atLeast)} and ${seconds(idleLimit.atMost)}` : tasks[doing],
    ...(open > 0 ? [`${open} ${open === 1 ? 'connection' : 'connections'} open`] : []),
    ...(timeLeft === undefined ? [] : [`up to ${inWords(Math.ceil(timeLeft / 1_000) * 1_000)} left`]),
  ].join(', ')
}

function observationWords({
  idle,
  outcome,
  unasked,
  probes,
  acknowledged,
  probedEvery,
}: Observation): string {
  const life =
    probedEvery === undefined
      ? `idle for ${seconds(idle)}`
      : `probed every ${seconds(probedEvery)} for ${seconds(idle)}`
  const sent =
    probes === 0 ? 'the FIN' : probes === 1 ? 'the probe or the FIN' : `${probes} probes or the FIN`
  const end = {
    alive: acknowledged > 0 ? 'alive, acknowledged a probe' : 'alive, acknowledged the FIN',
    silent: `gone, did not acknowledge ${sent}`,
    reset: unasked ? 'reset by the other side' : 'gone, answered with a reset',
    close: 'closed by the other side',
  }[outcome]
  return `${life}: ${end}`
}

const places = {
  hop: 'by a hop between the ends',
  peer: 'by the other end',
  unknown: 'by a hop or the other end',
} as const

const ends = { silent: 'dropped silently', reset: 'reset', close: 'closed with a FIN' } as const

function show(measured: MeasuredPath): void {
  const { name, address, side, idleLimit, idleTried, onExpiry, expiredBy, rtt, notes, http } = measured
  const where = address === undefined || address === name ? name : `${name} (${address})`
  write(paint(`${where}, from the ${side === 'client' ? 'client' : 'listening side'}`, 'strong'))
  const tried = idleTried === 0 ? 'not known' : `none up to ${seconds(idleTried)}`
  const limit = idleLimit
    ? `${exactly(idleLimit.atLeast)} to ${exactly(idleLimit.atMost)}${http ? ' after a response' : ''}`
    : tried
  const rows = [
    ['  idle limit', limit],
    ...(onExpiry ? [['  at the limit', `${ends[onExpiry]}, ${places[expiredBy!]}`]] : []),
    ['  probes', probesWords(measured)],
    ...(rtt ? [['  round trip', `${ms(rtt.median)} ms, from ${ms(rtt.min)} to ${ms(rtt.max)} ms`]] : []),
  ]
  for (const line of columns(rows)) write(line)
  for (const { message } of notes) {
    write()
    write(`${paint('note:', 'faint')} ${message}`)
  }
}

function probesWords({ answersProbes, probesCount }: MeasuredPath): string {
  const answers = {
    yes: 'acknowledged',
    no: 'not acknowledged, although the connections were alive',
    unreliable: 'acknowledged unreliably',
  }
  return [
    answersProbes ? answers[answersProbes] : 'not known whether they are acknowledged',
    ...(probesCount === undefined
      ? []
      : [probesCount ? 'they restart the idle time' : 'they do not restart the idle time']),
  ].join('; ')
}

function seconds(time: number): string {
  return inWords(Math.round(time / 100) * 100)
}

function exactly(time: number): string {
  return inWords(Math.round(time / 10) * 10)
}

function ms(time: number): string {
  return time.toLocaleString('en', { maximumSignificantDigits: 2 })
}
