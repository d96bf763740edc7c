import { destroySocket } from '../../../host/index.js'
import { DeadpeerError, type ProbeResult } from '../../../index.js'
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
import { Asking } from './probe-run.js'

export interface ProbeCommandOptions extends Selection {
  readonly attempts: number
  readonly timeout: number
  /** For how long silent ones may keep their options raised, ms. */
  readonly wait: number
  readonly kill?: boolean
  readonly yes?: boolean
  readonly json?: boolean
  readonly jsonl?: boolean
}

interface Answer {
  readonly connection: Connection
  /** `undefined`: not asked. */
  readonly result: ProbeResult | undefined
}

/** Which of these connections are dead right now. Returns the exit code: 1 where not all have answered. */
export async function probeCommand(options: ProbeCommandOptions, signal: AbortSignal): Promise<number> {
  mustSelect(options)
  const { reached, refused, asking, outcomes } = await withProgress(
    'listing connections',
    async (progress) => {
      const connections = await selectConnections(options, ['established'], signal)
      const { reached, refused } = await mustReach(connections, options, progress, signal)
      const asking = new Asking(reached, options, signal, progress)
      return { reached, refused, asking, outcomes: await asking.outcomes }
    },
  )
  if (signal.aborted) return 1
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome instanceof DeadpeerError) refused.push({ connection: reached[i]!.connection, error: outcome })
  }
  const answers: Answer[] = [
    ...reached.flatMap(({ connection }, i) => {
      const result = outcomes[i]!
      return result instanceof DeadpeerError ? [] : [{ connection, result }]
    }),
    ...refused.map(({ connection }) => ({ connection, result: undefined })),
  ].sort(silentFirst)
  if (options.jsonl) for (const each of answers) write(JSON.stringify(asJson(each)))
  else if (options.json) write(JSON.stringify(answers.map(asJson), undefined, 2))
  else show(answers)
  if (refused.length > 0) footnote(`${refused.length} could not be asked. ${refused[0]!.error.message}`)
  const silent = answers.filter(({ result }) => result?.alive === false && result.evidence !== 'closed')
  if (options.kill && silent.length > 0) await kill(silent, options, signal)
  await asking.giveBack(options.wait)
  return answers.every(({ result }) => result?.alive) ? 0 : 1
}

function silentFirst(a: Answer, b: Answer): number {
  const rank = ({ result }: Answer) => [false, undefined, true].indexOf(result?.alive)
  return rank(a) - rank(b) || (b.result?.idleFor || 0) - (a.result?.idleFor || 0)
}

function asJson({ connection: { record, owners }, result }: Answer) {
  const { local, remote, cookie } = record.toJSON()
  const { alive = null, ...rest } = result ?? { evidence: 'not-permitted' }
  return { local, remote, cookie, processes: owners, alive, ...rest }
}

function show(answers: readonly Answer[]): void {
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
  write(`${count('alive')} alive, ${count('silent')} silent, ${count('unknown')} not known`)
}

type AnswerWord = 'alive' | 'silent' | 'unknown'
const answerStyles: Readonly<Record<AnswerWord, Style>> = { alive: 'good', silent: 'bad', unknown: 'warning' }

function answerWord(result: ProbeResult | undefined): AnswerWord {
  if (result?.alive === undefined) return 'unknown'
  return result.alive ? 'alive' : 'silent'
}

/** By the cookie, so that none but these is hit. */
async function kill(
  silent: readonly Answer[],
  { pid, yes }: ProbeCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const what = silent.length === 1 ? 'the silent connection' : `the ${silent.length} silent connections`
  if (!yes && !(await confirm(`Close ${what}?`, signal))) return
  let killed = 0
  for (const { connection } of silent) {
    try {
      destroySocket(connection.record, { pid })
      killed++
    } catch (error) {
      if (!(error instanceof DeadpeerError)) throw error
      complain(error.message)
      // What one may not do to one, one may not do to the others.
      if (error.code !== 'ENOENT') break
    }
  }
  process.stderr.write(`${killed} of ${silent.length} closed\n`)
}
