import { DeadpeerError, defineProfile, inspect, type Profile, type TuneResult } from '../../../index.js'
import { confirm } from '../../lib/confirm.js'
import { endWords, keepaliveWords, ownerWords, userTimeoutWords } from '../../lib/format-socket.js'
import { type Progress, withProgress } from '../../lib/progress.js'
import { readOptions } from '../../lib/read-options.js'
import {
  mustReach,
  mustSelect,
  type Reached,
  type Selection,
  selectConnections,
} from '../../lib/selection.js'
import { columns } from '../../lib/table.js'
import { complain, footnote, paint, write } from '../../lib/terminal.js'
import { Misuse } from '../../lib/usage.js'
import { isClosed, type Tunable, tuneAllOrNone } from './all-or-none.js'
import { type Forecast, forecastAll } from './forecast.js'

export interface TuneCommandOptions extends Selection {
  readonly profile?: Profile
  readonly off?: boolean
  readonly idle?: number
  readonly interval?: number
  readonly count?: number
  readonly userTimeout?: number
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly json?: boolean
  readonly jsonl?: boolean
}

type Found = Reached & Tunable

/** A connection's options before and after. */
interface Change extends Found {
  /** `undefined` if the connection was closed in the meantime. */
  readonly after: Profile | undefined
  /** Left out, because the peer must be heard first. */
  readonly leftOut: Profile | undefined
  /** In a dry run: left out if the peer does not respond in time. */
  readonly leftOutUnlessHeard?: Profile | undefined
}

/** Sets options of a running program's connections. Returns the exit code: 1 if not everything could be set. */
export async function tuneCommand(options: TuneCommandOptions, signal: AbortSignal): Promise<number> {
  mustSelect(options)
  const profile = profileFrom(options)
  const found = await withProgress('listing connections', (progress) => find(options, progress, signal))
  if (options.dryRun) return dryRun(found, profile, options)
  const processes = new Set(found.map(({ socket }) => socket.pid))
  const question = `Tune ${found.length} connections of ${processes.size} processes?`
  if (processes.size > 1 && !options.yes && !(await confirm(question, signal))) return 1
  const { results, error, notPutBack } = await withProgress('tuning', (progress) =>
    tuneAllOrNone(found, profile, signal, progress),
  )
  if (error) {
    const at = results.findIndex((result) => result.error === error)
    complain(`${refusalWords(error, found[at])} ${putBackWords(notPutBack)}`)
    return 1
  }
  const changes = found.map((each, i) => ({ ...each, ...outcome(each, results[i]!) }))
  print(changes, options)
  const incomplete = changes.filter(({ leftOut }) => leftOut).length
  if (incomplete > 0) {
    complain(
      `${connectionWords(incomplete)}: the peer did not respond in time, so values that could have ended the connection were left out`,
    )
  }
  return incomplete > 0 ? 1 : 0
}

/** Prints what the command would do without --dry-run. Returns the exit code that it would have. */
function dryRun(found: readonly Found[], profile: Profile, options: TuneCommandOptions): number {
  const forecasts = forecastAll(
    found.map(({ socket }) => socket),
    profile,
  )
  const at = forecasts.findIndex((each) => each.error && !isClosed(each.error))
  if (at >= 0) {
    complain(`nothing would be changed: ${refusalWords(forecasts[at]!.error!, found[at])}`)
    return 1
  }
  const changes = found.map((each, i) => ({ ...each, ...wouldBe(each, profile, forecasts[i]!) }))
  print(changes, options)
  const incomplete = changes.filter(({ leftOut }) => leftOut).length
  const uncertain = changes.filter(({ leftOutUnlessHeard }) => leftOutUnlessHeard).length
  if (incomplete > 0) {
    footnote(
      `${connectionWords(incomplete)}: the peer does not respond now, so values that could end the connection would be left out`,
    )
  }
  if (uncertain > 0) {
    footnote(
      `${connectionWords(uncertain)}: the peer would be probed first, and values that could end the connection left out if it does not respond within 2 s`,
    )
  }
  return incomplete > 0 ? 1 : 0
}

/** Names the connection that was refused, and says what to do. */
function refusalWords(error: Error, refused: Found | undefined): string {
  if (!refused) return `${error.message}.`
  const { local, remote } = refused.connection.record
  const which = `${endWords(local)} → ${endWords(remote)}`
  if (!(error instanceof DeadpeerError && error.code === 'ERR_MUST_WAIT')) return `${which}: ${error.message}`
  const fields = Object.keys(error.pending ?? {}).join(' and ')
  return `${fields} could end ${which} as it is, because its peer was not heard. Set ${fields} as well, or leave this connection out (--port).`
}

function wouldBe({ before }: Found, profile: Profile, forecast: Forecast): Omit<Change, keyof Found> {
  const { error, awaiting, isUnanswered } = forecast
  if (error) return { after: undefined, leftOut: undefined }
  const after = { ...before, ...profile }
  if (!awaiting) return { after, leftOut: undefined }
  if (!isUnanswered) return { after, leftOut: undefined, leftOutUnlessHeard: awaiting }
  return { after: { ...after, ...valuesOf(before, Object.keys(awaiting)) }, leftOut: awaiting }
}

function valuesOf(profile: Profile, fields: readonly string[]): Profile {
  return Object.fromEntries(Object.entries(profile).filter(([field]) => fields.includes(field)))
}

function profileFrom({ profile, off, idle, interval, count, userTimeout }: TuneCommandOptions): Profile {
  const given = { enable: off ? false : undefined, initialDelay: idle, interval, count, userTimeout }
  const fields = Object.entries(given).filter(([, value]) => value !== undefined)
  if (!profile && fields.length === 0) {
    throw new Misuse('no option to set: add --profile, --off, --idle, --interval, --count or --user-timeout')
  }
  return defineProfile({ ...profile, ...Object.fromEntries(fields) } as Profile)
}

async function find(options: TuneCommandOptions, progress: Progress, signal: AbortSignal): Promise<Found[]> {
  const connections = await selectConnections(options, ['established', 'close-wait'], signal)
  const { reached, refused } = await mustReach(connections, options, progress, signal)
  if (refused.length > 0) {
    throw new Misuse(
      `${refused.length} of ${connections.length} cannot be tuned, and nothing was changed. ${refused[0]!.error.message}`,
    )
  }
  const read = await readOptions(
    reached.map(({ connection }) => connection),
    progress,
    signal,
  )
  return reached.flatMap((each, i) => {
    const before = read[i]!
    if (!(before instanceof DeadpeerError)) return [{ ...each, target: each.socket, before }]
    if (isClosed(before)) return []
    throw before
  })
}

function readProfile({ socket }: Reached): Profile | undefined {
  try {
    return inspect(socket).profile
  } catch (error) {
    if (error instanceof DeadpeerError && isClosed(error)) return undefined
    throw error
  }
}

function outcome(each: Found, { error, pending }: TuneResult): Pick<Change, 'after' | 'leftOut'> {
  return { after: error ? undefined : readProfile(each), leftOut: pending }
}

function putBackWords(notPutBack: number): string {
  return notPutBack === 0
    ? 'All connections have their previous options.'
    : `${notPutBack} connections do not have all their previous options, because their peers do not respond. All others have their previous options.`
}

function print(changes: readonly Change[], { dryRun, json, jsonl }: TuneCommandOptions): void {
  if (jsonl) for (const each of changes) write(JSON.stringify(asJson(each)))
  else if (json) write(JSON.stringify(changes.map(asJson), undefined, 2))
  else show(changes, dryRun === true)
}

function asJson({ connection: { record, owners }, before, after, leftOut, leftOutUnlessHeard }: Change) {
  const { local, remote, cookie } = record.toJSON()
  const what = { before, after: after ?? null, leftOut, leftOutUnlessHeard }
  return { local, remote, cookie, processes: owners, ...what }
}

function show(changes: readonly Change[], isDryRun: boolean): void {
  const rows = changes.map(({ connection: { record, owners }, before, after, ...left }) => [
    endWords(record.local),
    endWords(record.remote),
    after ? arrow(keepaliveWords(before), keepaliveWords(after)) : 'closed',
    after ? arrow(userTimeoutWords(before), userTimeoutWords(after)) : 'closed',
    leftOutWords(left),
    ownerWords(owners),
  ])
  const [head, ...lines] = columns([
    ['LOCAL', 'PEER', 'KEEPALIVE', 'USER-TIMEOUT', 'LEFT-OUT', 'PROCESS'],
    ...rows,
  ])
  write(paint(head!, 'strong'))
  lines.forEach((line, i) => {
    write(changes[i]!.leftOut ? paint(line, 'warning') : line)
  })
  write()
  const tuned = changes.filter(({ after }) => after).length
  const closed = changes.length - tuned
  const closedWords = closed > 0 ? `, ${closed} closed in the meantime` : ''
  write(
    `${tuned} ${isDryRun ? 'would be tuned' : 'tuned'}${closedWords}${isDryRun ? '; nothing was changed' : ''}`,
  )
}

function leftOutWords({
  leftOut,
  leftOutUnlessHeard,
}: Pick<Change, 'leftOut' | 'leftOutUnlessHeard'>): string {
  if (leftOut) return Object.keys(leftOut).join(' ')
  return leftOutUnlessHeard ? `${Object.keys(leftOutUnlessHeard).join(' ')} unless the peer responds` : '-'
}

function connectionWords(count: number): string {
  return count === 1 ? '1 connection' : `${count} connections`
}

function arrow(before: string, after: string): string {
  return before === after ? before : `${before} → ${after}`
}
