import { setTimeout as delay } from 'node:timers/promises'
import { readDefaults, type SocketRecord } from '../../../host/index.js'
import { DeadpeerError, type Profile, type Verdict } from '../../../index.js'
import { resolvePath } from '../../../path/resolve.js'
import { writeFindings } from '../../lib/findings.js'
import { endWords, printable } from '../../lib/format-socket.js'
import { checkHops } from '../../lib/known-hops.js'
import { nothingMatched } from '../../lib/nothing-matched.js'
import { hasSysPtrace } from '../../lib/privileges.js'
import { type Progress, withProgress } from '../../lib/progress.js'
import { readOptions } from '../../lib/read-options.js'
import {
  type Connection,
  connectionStates,
  isGone,
  listRecords,
  type Selection,
  selectConnections,
} from '../../lib/selection.js'
import { footnote, write } from '../../lib/terminal.js'
import { Misuse } from '../../lib/usage.js'
import { examineCounters, examineOptions, examineStuck, mayBeStuck } from './connections.js'
import { deafConnections, examineDeafPaths, hasUnansweredProbes } from './deaf-path.js'
import { bySeverity, type Diagnosis, type Fault } from './diagnosis.js'
import { readNodeVersion } from './node-version.js'
import { remediesFor, type TypedPath } from './remedies.js'
import { examineSystem } from './system.js'
import { findZombies } from './zombies.js'

export interface DoctorCommandOptions extends Selection {
  readonly hop?: TypedPath
  /** Time between the two samples, ms. */
  readonly over: number
  readonly json?: boolean
}

/** What was examined, and what was found. */
interface Examination {
  readonly connections: readonly Connection[]
  /** What could not be read, and why. */
  readonly unread: readonly Unread[]
  readonly findings: readonly Diagnosis[]
}

interface Unread {
  /** How many connections; 0 for a reason that is not about connections. */
  readonly connections: number
  readonly reason: string
}

/**
 * Prints the findings and the commands that fix them. Returns the exit code: 1 if any finding is worse than a note.
 *
 * @throws {@link Misuse} if nothing could be examined.
 */
export async function doctorCommand(options: DoctorCommandOptions, signal: AbortSignal): Promise<number> {
  const { connections, unread, findings } = await withProgress('listing connections', (progress) =>
    examine(options, progress, signal),
  )
  const counts = {
    connections: connections.length,
    unread: unread.reduce((total, each) => total + each.connections, 0),
  }
  const read = counts.connections - counts.unread
  const isSerious = findings.some(({ severity }) => severity !== 'note')
  if (options.json) {
    const verdicts = countVerdicts(connections)
    write(JSON.stringify({ ...counts, read, why: unread, verdicts, findings }, undefined, 2))
  }
  if (read === 0 && !isSerious) throw new Misuse(`nothing was examined: ${unread[0]!.reason}`)
  if (!options.json) show(counts.connections, read, findings)
  for (const { connections: count, reason } of unread) {
    footnote(count === 0 ? reason : `${ofAll(count, counts.connections)} could not be read. ${reason}`)
  }
  return isSerious ? 1 : 0
}

async function examine(
  options: DoctorCommandOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Examination> {
  const { pid, port, prefix, over, hop = [] } = options
  checkHops(hop)
  const path = resolvePath(hop)
  const connections = await selectConnections(options, connectionStates, signal)
  const seenAt = performance.now()
  const remedies = remediesFor(connections, options, hop)
  const established = connections.filter(({ record }) => record.state === 'established')
  const { profiles, unread } = await readProfiles(established, progress, signal)
  const defaults = readDefaults({ pid })
  const isWhole = port === undefined && prefix === undefined
  if (isWhole) progress.say('searching for connections that the kernel no longer lists')
  const zombies = isWhole ? await findZombies(pid, remedies, signal) : []
  const later = connections.some((each) => mayBeStuck(each) || hasUnansweredProbes(each))
    ? await sampleLater(options, seenAt + over, progress, signal)
    : { records: new Map<bigint, SocketRecord>(), at: seenAt }
  const twice = { connections, later: later.records, elapsed: later.at - seenAt }
  const deaf = deafConnections(twice)
  return {
    connections,
    unread: [
      ...(connections.length + zombies.length === 0
        ? [{ connections: 0, reason: nothingMatched(options) }]
        : unread),
      ...(isWhole && pid === undefined && !hasSysPtrace() ? [zombiesOfOthers] : []),
    ],
    findings: [
      ...examineSystem(defaults, path),
      ...examineDeafPaths(deaf, remedies),
      ...examineCounters(
        connections.filter((each) => !deaf.has(each)),
        path,
        remedies,
      ),
      ...examineStuck(twice, profiles, remedies),
      ...examineOptions(withNode(profiles), path, defaults, remedies),
      ...zombies,
    ].sort(bySeverity),
  }
}

const zombiesOfOthers: Unread = {
  connections: 0,
  reason:
    'only your own processes were searched for connections that the kernel has given up; searching those of other users requires CAP_SYS_PTRACE (sudo)',
}

interface Later {
  readonly records: ReadonlyMap<bigint, SocketRecord>
  /** The start of the sample, on performance.now(). */
  readonly at: number
}

async function sampleLater(
  selection: Selection,
  due: number,
  progress: Progress,
  signal: AbortSignal,
): Promise<Later> {
  const left = due - performance.now()
  if (left > 0) {
    progress.say('waiting for the second sample')
    await delay(left, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
  const at = performance.now()
  const records = await listRecords(selection, { states: connectionStates, info: true, signal })
  return { records: new Map(records.map((record) => [record.cookie, record])), at }
}

interface Profiles {
  readonly profiles: ReadonlyMap<Connection, Profile>
  readonly unread: readonly Unread[]
}

/** Connections that were closed in the meantime are in neither. */
async function readProfiles(
  connections: readonly Connection[],
  progress: Progress,
  signal: AbortSignal,
): Promise<Profiles> {
  const profiles = new Map<Connection, Profile>()
  const reasons = new Map<string, number>()
  const options = await readOptions(connections, progress, signal)
  for (const [i, connection] of connections.entries()) {
    const found = options[i]!
    if (!(found instanceof DeadpeerError)) profiles.set(connection, found)
    else if (!isGone(found)) reasons.set(found.message, (reasons.get(found.message) ?? 0) + 1)
  }
  return { profiles, unread: [...reasons].map(([reason, count]) => ({ connections: count, reason })) }
}

function withNode(profiles: ReadonlyMap<Connection, Profile>) {
  const versions = new Map<number, string | undefined>()
  return [...profiles].map(([connection, profile]) => {
    const { pid, command } = connection.owners[0]!
    if (!versions.has(pid)) versions.set(pid, readNodeVersion(pid, command))
    return { connection, profile, node: versions.get(pid) }
  })
}

function countVerdicts(connections: readonly Connection[]): Partial<Record<Verdict, number>> {
  const counts: Partial<Record<Verdict, number>> = {}
  for (const { verdict } of connections) counts[verdict] = (counts[verdict] ?? 0) + 1
  return counts
}

const faultWords: Readonly<Record<Fault, string>> = {
  program: 'your program',
  peer: 'the peer',
  path: 'the path',
  system: "this system's settings",
  node: "Node's defaults",
}

function show(connections: number, read: number, findings: readonly Diagnosis[]): void {
  const isListed = connections > 0 || !findings.some(({ code }) => code === 'zombie')
  const examined = read === connections ? ofAll(connections) : ofAll(read, connections)
  write(isListed ? `${examined} examined` : 'the kernel lists no connection any more')
  writeFindings(
    findings.map((each) => ({
      ...each,
      message: `${subject(each)}${each.message}`,
      fault: each.code === 'unanswered' ? 'the peer, or the path to it' : faultWords[each.fault],
    })),
  )
  if (findings.length > 0) return
  write(
    `nothing is wrong${read === connections ? '' : ` with the ${ofAll(read, connections)} that could be read`}`,
  )
}

/** 8 connections; 200 of 1,725 connections. */
function ofAll(count: number, all?: number): string {
  const [one, other] = [count, all].map((n) => n?.toLocaleString('en'))
  return `${one}${other === undefined ? '' : ` of ${other}`} ${(all ?? count) === 1 ? 'connection' : 'connections'}`
}

function nodeWords({ node }: NonNullable<Diagnosis['process']>): string {
  return node === undefined || node === 'unknown' ? '' : `, Node ${node}`
}

function subject({ process, connections, example }: Diagnosis): string {
  if (!example) return ''
  const who = process ? ` of ${printable(process.command)}(${process.pid}${nodeWords(process)})` : ''
  const which =
    'fd' in example ? `descriptor ${example.fd}` : `${endWords(example.local)} → ${endWords(example.remote)}`
  return `${connections === 1 ? 'A connection' : ofAll(connections!)}${who}, ${connections === 1 ? '' : 'such as '}${which}: `
}
