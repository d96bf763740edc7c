import { destroySocket } from '../../../host/index.js'
import { DeadpeerError, type ProbeResult } from '../../../index.js'
import { isUnproven } from '../../../probe/result.js'
import { confirm } from '../../lib/confirm.js'
import { endWords, ownerWords, shortTime } from '../../lib/format-socket.js'
import { withProgress } from '../../lib/progress.js'
import {
  type Connection,
  mustReach,
  mustSelect,
  type Selection,
  selectConnections,
} from '../../lib/selection.js'
import { columns } from '../../lib/table.js'
import { complain, footnote, paint, type Style, write } from '../../lib/terminal.js'
import { ProbeRun } from './probe-run.js'

export interface ProbeCommandOptions extends Selection {
  readonly attempts: number
  readonly timeout: number
  /** How long options may stay raised after the results, ms. */
  readonly wait: number
  readonly kill?: boolean
  readonly unproven?: boolean
  readonly yes?: boolean
  readonly json?: boolean
  readonly jsonl?: boolean
}

interface Probed {
  readonly connection: Connection
  /** `undefined` if this user may not probe it. */
  readonly result: ProbeResult | undefined
}

/** Probes connections and prints which are dead now. Returns the exit code: 1 if not all peers responded. */
export async function probeCommand(options: ProbeCommandOptions, signal: AbortSignal): Promise<number> {
  mustSelect(options)
  const { reached, refused, probing, outcomes } = await withProgress(
    'listing connections',
    async (progress) => {
      const connections = await selectConnections(options, ['established'], signal)
      const { reached, refused } = await mustReach(connections, options, progress, signal)
      const probing = new ProbeRun(reached, options, signal, progress)
      return { reached, refused, probing, outcomes: await probing.outcomes }
    },
  )
  if (signal.aborted) return 1
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome instanceof DeadpeerError) refused.push({ connection: reached[i]!.connection, error: outcome })
  }
  const answers: Probed[] = [
    ...reached.flatMap(({ connection }, i) => {
      const result = outcomes[i]!
      return result instanceof DeadpeerError ? [] : [{ connection, result }]
    }),
    ...refused.map(({ connection }) => ({ connection, result: undefined })),
  ].sort(unresponsiveFirst)
  if (options.jsonl) for (const each of answers) write(JSON.stringify(asJson(each)))
  else if (options.json) write(JSON.stringify(answers.map(asJson), undefined, 2))
  else show(answers)
  if (refused.length > 0) footnote(`${refused.length} could not be probed. ${refused[0]!.error.message}`)
  const unresponsive = answers.filter(({ result }) => result?.alive === false && result.evidence !== 'closed')
  if (options.kill && unresponsive.length > 0) await kill(unresponsive, options, signal)
  await probing.restoreOptions(options.wait)
  return answers.every(({ result }) => result?.alive) ? 0 : 1
}

function unresponsiveFirst(a: Probed, b: Probed): number {
  const rank = ({ result }: Probed) => words.indexOf(answerWord(result))
  return rank(a) - rank(b) || (b.result?.idleFor || 0) - (a.result?.idleFor || 0)
}

function asJson({ connection: { record, owners }, result }: Probed) {
  const { local, remote, cookie } = record.toJSON()
  const { alive = null, ...rest } = result ?? { evidence: 'not-permitted' }
  return { local, remote, cookie, processes: owners, alive, ...rest }
}

function show(answers: readonly Probed[]): void {
  const rows = answers.map(({ connection: { record, owners }, result }) => [
    answerWord(result),
    result?.evidence ?? 'not permitted',
    result?.rtt === undefined ? '-' : shortTime(result.rtt),
    result && result.idleFor >= 0 ? shortTime(result.idleFor) : '-',
    endWords(record.local),
    endWords(record.remote),
    ownerWords(owners),
  ])
  const [head, ...lines] = columns([
    ['ANSWER', 'EVIDENCE', 'RTT', 'HEARD', 'LOCAL', 'PEER', 'PROCESS'],
    ...rows,
  ])
  write(paint(head!, 'strong'))
  lines.forEach((line, i) => {
    write(paint(line, answerStyles[answerWord(answers[i]!.result)]))
  })
  const count = (word: string) => answers.filter(({ result }) => answerWord(result) === word).length
  write()
  const unproven = count('unproven')
  const apart = unproven > 0 ? `${unproven} unproven, ` : ''
  write(
    `${count('alive')} alive, ${count('unresponsive')} unresponsive, ${apart}${count('unknown')} not known`,
  )
  if (unproven > 0) footnote(unprovenWords)
}

const unprovenWords =
  'Unproven: the peer acknowledged no probe, and is not known to have acknowledged one before. Some paths pass data but no probes, so the peer may be alive. ' +
  '--kill does not close these connections, unless you pass --unproven.'

/** In the order in which they are listed. */
const words = ['unresponsive', 'unproven', 'unknown', 'alive'] as const
type AnswerWord = (typeof words)[number]
const answerStyles: Readonly<Record<AnswerWord, Style>> = {
  alive: 'good',
  unresponsive: 'bad',
  unproven: 'warning',
  unknown: 'warning',
}

function answerWord(result: ProbeResult | undefined): AnswerWord {
  if (isUnproven(result)) return 'unproven'
  if (result?.alive === undefined) return 'unknown'
  return result.alive ? 'alive' : 'unresponsive'
}

/** Closes connections by their cookie, which no other connection has. */
async function kill(
  unresponsive: readonly Probed[],
  { pid, yes }: ProbeCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const what =
    unresponsive.length === 1
      ? 'the connection whose peer is unresponsive'
      : `the ${unresponsive.length} connections whose peers are unresponsive`
  if (!yes && !(await confirm(`Close ${what}?`, signal))) return
  let killed = 0
  for (const { connection } of unresponsive) {
    try {
      destroySocket(connection.record, { pid })
      killed++
    } catch (error) {
      if (!(error instanceof DeadpeerError)) throw error
      complain(error.message)
      // A lack of permission applies to the others as well.
      if (error.code !== 'ENOENT') break
    }
  }
  process.stderr.write(`${killed} of ${unresponsive.length} closed\n`)
}
