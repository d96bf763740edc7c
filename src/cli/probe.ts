import { type BorrowedSocket, destroySocket } from '../host.js'
import { DeadpeerError, type ProbeResult, probeAll } from '../index.js'
import { confirm } from './confirm.js'
import { type Connection, mustReach, mustSelect, type Selection, selectConnections } from './selection.js'
import { endWords, ownerWords, shortTime } from './socket-words.js'
import { columns } from './table.js'
import { complain, paint, type Style, write } from './terminal.js'

export interface ProbeCommandOptions extends Selection {
  readonly attempts: number
  readonly timeout: number
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
  const connections = await selectConnections(options, ['established'], signal)
  const { reached, refused } = mustReach(connections)
  const results = await askAll(
    reached.map(({ socket }) => socket),
    longestAnswer(connections, options),
    options,
    signal,
  )
  if (signal.aborted) return 1
  const answers: Answer[] = [
    ...reached.map(({ connection }, i) => ({ connection, result: results[i] })),
    ...refused.map(({ connection }) => ({ connection, result: undefined })),
  ].sort(silentFirst)
  if (options.jsonl) for (const each of answers) write(JSON.stringify(asJson(each)))
  else if (options.json) write(JSON.stringify(answers.map(asJson), undefined, 2))
  else show(answers)
  if (refused.length > 0) complain(`${refused.length} could not be asked. ${refused[0]!.error.message}`)
  const silent = answers.filter(({ result }) => result?.alive === false && result.evidence !== 'closed')
  if (options.kill && silent.length > 0) await kill(silent, options.yes === true, signal)
  return answers.every(({ result }) => result?.alive) ? 0 : 1
}

/** Attempts have to be this far apart, ms; see probeAll. */
const GAP = 510

/** How long the slowest may take to be called silent, ms: an attempt waits for the connection's own retransmission timeout at least. */
function longestAnswer(
  connections: readonly Connection[],
  { attempts, timeout }: { readonly attempts: number; readonly timeout: number },
): number {
  const rto = connections.reduce((most, { counters }) => Math.max(most, (counters?.rto ?? 0) / 1_000), 0)
  const each = Math.max(timeout, rto)
  return (attempts - 1) * Math.max(GAP, each) + each
}

/** Until the kernel's own probe, which is let pass where it is due, has left; and looks at it all. */
const MARGIN = 1_000
/** Turns are limited to 200 in 10 ms; a busy machine takes longer. */
const PER_CONNECTION = 0.2
const ROUNDS = 3

/**
 * Asks them all. What a silent connection's options were raised by stays until the connection ends, unless the question is called off; so it is, when
 * all have had their time. On a machine that is too busy for that some are not known by then: they are asked again.
 */
async function askAll(
  sockets: readonly BorrowedSocket[],
  longest: number,
  { attempts, timeout }: { readonly attempts: number; readonly timeout: number },
  signal: AbortSignal,
): Promise<ProbeResult[]> {
  const results: ProbeResult[] = []
  let asking = sockets.map((socket, i) => ({ socket, i }))
  for (let round = 1; round <= ROUNDS && asking.length > 0; round++) {
    const enough = new AbortController()
    const timer = setTimeout(
      () => enough.abort(),
      longest + round * (MARGIN + asking.length * PER_CONNECTION),
    )
    const asked = await probeAll(
      asking.map(({ socket }) => socket),
      { attempts, timeout, signal: AbortSignal.any([signal, enough.signal]) },
    )
    clearTimeout(timer)
    asking.forEach(({ i }, at) => {
      results[i] = asked[at]!
    })
    if (signal.aborted) return results
    asking = asking.filter((_, at) => asked[at]!.evidence === 'aborted')
  }
  return results
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
async function kill(silent: readonly Answer[], isSure: boolean, signal: AbortSignal): Promise<void> {
  const what = silent.length === 1 ? 'the silent connection' : `the ${silent.length} silent connections`
  if (!isSure && !(await confirm(`Close ${what}?`, signal))) return
  let killed = 0
  for (const { connection } of silent) {
    try {
      destroySocket(connection.record)
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
