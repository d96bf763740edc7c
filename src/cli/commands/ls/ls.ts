import type { SocketState } from '../../../host/index.js'
import { DeadpeerError, type Profile } from '../../../index.js'
import { socketStates } from '../../../kernel/sock-diag.js'
import { connectionJson, type WithProfile } from '../../lib/connection-json.js'
import {
  endWords,
  keepaliveWords,
  ownerWords,
  shortTime,
  stateWords,
  timerWords,
  userTimeoutWords,
  verdictStyles,
} from '../../lib/format-socket.js'
import { byTrouble } from '../../lib/judge-record.js'
import { nothingMatched } from '../../lib/nothing-matched.js'
import { withProgress } from '../../lib/progress.js'
import { readOptions } from '../../lib/read-options.js'
import { type Connection, connectionStates, type Selection, selectConnections } from '../../lib/selection.js'
import { columns } from '../../lib/table.js'
import { footnote, paint, write } from '../../lib/terminal.js'

export interface LsCommandOptions extends Selection {
  readonly state?: readonly SocketState[]
  readonly suspect?: boolean
  readonly options?: boolean
  readonly json?: boolean
  readonly jsonl?: boolean
}

/** Prints the host's connections. Returns the exit code. */
export async function lsCommand(options: LsCommandOptions, signal: AbortSignal): Promise<number> {
  const { state = connectionStates, suspect, options: withOptions, json, jsonl } = options
  let matched = 0
  const connections = await withProgress('listing connections', async (progress) => {
    const all = await selectConnections(options, state, signal)
    matched = all.length
    const selected = all
      .filter(({ verdict }) => !suspect || verdict === 'suspect' || verdict === 'dead')
      .sort(byTrouble)
    // The table shows a question mark if this user may not read the options, or the connection is gone.
    const found = withOptions ? await readOptions(selected, progress, signal) : []
    return selected.map((connection, i) => ({ ...connection, profile: profileOrNone(found[i]) }))
  })
  if (jsonl) for (const each of connections) write(JSON.stringify(connectionJson(each)))
  else if (json) writeArray(connections)
  else if (connections.length === 0)
    write(matched === 0 ? nothingMatched(options, whatOf(options)) : noSuspect(matched))
  else show(connections, withOptions === true)
  const hidden = connections.filter(isOwnerHidden).length
  if (hidden > 0) {
    footnote(`not permitted to see the owning process of ${hidden} of these: run with CAP_SYS_PTRACE (sudo)`)
  }
  return 0
}

function whatOf({ state }: LsCommandOptions): string | undefined {
  if (!state) return undefined
  return state === socketStates ? 'TCP socket' : `TCP socket in state ${state.join(' or ')}`
}

function noSuspect(matched: number): string {
  return `none of ${matched.toLocaleString('en')} connections is suspect`
}

/** Whether a process that this user may not see has the connection open. */
function isOwnerHidden({ record: { inode }, owners }: Connection): boolean {
  return inode !== undefined && owners.length === 0
}

function profileOrNone(found: Profile | DeadpeerError | undefined): Profile | undefined {
  return found instanceof DeadpeerError ? undefined : found
}

/** Writes one connection at a time, because one string for tens of thousands would take twice the memory. */
function writeArray(connections: readonly WithProfile[]): void {
  write('[')
  connections.forEach((each, i) => {
    write(`  ${JSON.stringify(connectionJson(each))}${i < connections.length - 1 ? ',' : ''}`)
  })
  write(']')
}

function show(connections: readonly WithProfile[], withOptions: boolean): void {
  const head = [
    'STATE',
    'RECV-Q',
    'SEND-Q',
    'LOCAL',
    'PEER',
    'TIMER',
    'PROBES',
    'RETRANS',
    'HEARD',
    'VERDICT',
  ]
  const rows = connections.map(({ record, owners, verdict, silentFor, counters, profile }) => [
    stateWords[record.state],
    String(record.receiveQueue),
    String(record.sendQueue),
    endWords(record.local),
    endWords(record.remote),
    timerWords(record),
    String(counters?.probes ?? '-'),
    counters ? `${counters.retransmits}/${counters.totalRetrans}` : '-',
    silentFor === undefined ? '-' : shortTime(silentFor),
    verdict,
    ...(withOptions ? [words(profile, keepaliveWords), words(profile, userTimeoutWords)] : []),
    ownerWords(owners),
  ])
  const [first, ...lines] = columns([
    [...head, ...(withOptions ? ['KEEPALIVE', 'USER-TIMEOUT'] : []), 'PROCESS'],
    ...rows,
  ])
  write(paint(first!, 'strong'))
  lines.forEach((line, i) => {
    const style = verdictStyles[connections[i]!.verdict]
    write(style ? paint(line, style) : line)
  })
}

function words(profile: Profile | undefined, inWords: (profile: Profile) => string): string {
  return profile ? inWords(profile) : '?'
}
