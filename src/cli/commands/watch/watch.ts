import { setTimeout as delay } from 'node:timers/promises'
import { DeadpeerError } from '../../../index.js'
import { type Change, ConnectionSampler } from '../../lib/connection-changes.js'
import { endWords, ownerWords, shortTime, timerWords } from '../../lib/format-socket.js'
import { judgeRecord } from '../../lib/judge-record.js'
import { nothingMatched } from '../../lib/nothing-matched.js'
import {
  checkProcess,
  connectionStates,
  listRecords,
  type Selection,
  selectConnections,
} from '../../lib/selection.js'
import type { Suspect } from '../../lib/suspect-end.js'
import { columns } from '../../lib/table.js'
import { Canvas, canRedraw, complain, lineWidth, paint, type Style, write } from '../../lib/terminal.js'

export interface WatchCommandOptions extends Selection {
  readonly every: number
  readonly jsonl?: boolean
}

/** Prints a line per change, or redraws a table in place, until it is interrupted or the selected process ends. */
export async function watchCommand(options: WatchCommandOptions, signal: AbortSignal): Promise<number> {
  const { pid, every, jsonl } = options
  const sampler = new ConnectionSampler(options, signal)
  const screen = !jsonl && canRedraw(SMALLEST) ? new Screen(pid) : undefined
  if (!screen) await reportIfNothingMatches(options, signal)
  try {
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      if (pid !== undefined && !isThere(pid, isFirst)) return 0
      const changes = await sampleUnlessEnded(sampler, pid)
      if (!changes) return 0
      if (screen) screen.draw(sampler, changes)
      else for (const each of changes) write(jsonl ? JSON.stringify(each) : changeWords(each))
      // An abort ends the wait, and with it the loop.
      await delay(every, undefined, { signal }).catch(() => {})
    }
  } finally {
    screen?.end()
  }
  return 0
}

/** The changes; `undefined` if the process has ended, so that its network namespace cannot be entered any more. */
async function sampleUnlessEnded(
  sampler: ConnectionSampler,
  pid: number | undefined,
): Promise<Change[] | undefined> {
  try {
    return await sampler.sample()
  } catch (error) {
    if (pid !== undefined && error instanceof DeadpeerError && error.code === 'ESRCH') return undefined
    throw error
  }
}

/** Reports that no connection matches. Otherwise the user would read the empty output as "nothing has changed". */
async function reportIfNothingMatches(selection: Selection, signal: AbortSignal): Promise<void> {
  const { pid } = selection
  const connections =
    pid === undefined
      ? await listRecords(selection, { states: connectionStates, info: false, signal })
      : await selectConnections(selection, connectionStates, signal)
  if (connections.length === 0) complain(`${nothingMatched(selection)} now; waiting for one`)
}

/** Whether the process is still there. At first its absence is an error; later it ends the command. */
function isThere(pid: number, isFirst: boolean): boolean {
  try {
    checkProcess(pid)
    return true
  } catch (error) {
    if (isFirst) throw error
    return false
  }
}

const styles: Readonly<Record<Change['event'], Style>> = {
  suspect: 'warning',
  recover: 'good',
  dead: 'bad',
  gone: 'bad',
  closing: 'faint',
}

function changeWords({ time, event, local, remote, processes, reason, evidence, isNoticed }: Change): string {
  const clock = `${time.toISOString().slice(0, 19)}Z`
  const why = reason ? `${reason}: ${evidence}` : evidence
  const zombie = isNoticed === false ? '; its program has not noticed' : ''
  const who = `${endWords(local)} → ${endWords(remote)}  ${ownerWords(processes)}`
  return `${clock}  ${event.padEnd(7)}  ${who}  ${why}${zombie}`
}

/** The lines of the smallest table: the head, one suspect, an empty line and two changes. */
const SMALLEST = 7
const CHANGES = 10

/** The suspects, and below them the latest changes. */
class Screen {
  readonly #canvas = new Canvas()
  readonly #changes: Change[] = []

  constructor(private readonly pid: number | undefined) {}

  draw({ connections, suspects }: ConnectionSampler, changes: readonly Change[]): void {
    this.#changes.push(...changes)
    this.#changes.splice(0, this.#changes.length - CHANGES)
    const room = (process.stdout.rows ?? 24) - 1
    const below = this.#changes.slice(-Math.max(2, Math.min(CHANGES, Math.floor(room / 3))))
    const most = Math.max(1, room - below.length - 5)
    const left = suspects.length - most
    const words =
      suspects.length === 1 ? '1 peer does not respond' : `${suspects.length} peers do not respond`
    const whose = this.pid === undefined ? '' : ` for those of process ${this.pid}`
    const head = `sampling ${connections.length} connections${whose}: ${words}`
    this.#canvas.draw([
      paint(cut(head), suspects.length > 0 ? 'warning' : 'good'),
      '',
      ...table(suspects.slice(0, most)),
      ...(left > 0 ? [`and ${left} more`] : []),
      '',
      ...below.map((each) => paint(cut(changeWords(each)), styles[each.event])),
    ])
  }

  end(): void {
    this.#canvas.end()
  }
}

function table(suspects: readonly Suspect[]): string[] {
  if (suspects.length === 0) return []
  const [head, ...lines] = columns([
    ['LOCAL', 'PEER', 'TIMER', 'HEARD', 'PROCESS'],
    ...suspects.map(({ record, owners }) => [
      endWords(record.local),
      endWords(record.remote),
      timerWords(record),
      shortTime(judgeRecord(record).silentFor ?? 0),
      ownerWords(owners),
    ]),
  ])
  return [paint(cut(head!), 'strong'), ...lines.map(cut)]
}

function cut(line: string): string {
  return line.slice(0, lineWidth())
}
