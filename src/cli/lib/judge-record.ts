import { times } from '../../format.js'
import type { SocketRecord, SocketState } from '../../host/index.js'
import type { TcpInfo, Verdict } from '../../index.js'
import { type Judgement, judge, type VerdictCounters as Telling, verdictOf } from '../../inspect/verdict.js'
import { silentFor } from '../../kernel/tcp-info.js'

export interface Judged extends Judgement {
  /** ms since the peer's last segment; `undefined` if the kernel does not count it. */
  readonly silentFor: number | undefined
  /** The fields of tcp_info that a table shows. Sockets in `time-wait` and `syn-recv` have none. */
  readonly counters: Counters | undefined
}

const evidenceFields = [
  'state',
  'retransmits',
  'probes',
  'lastDataSent',
  'lastDataRecv',
  'lastAckRecv',
] as const
const tableFields = ['totalRetrans', 'rtt', 'rto'] as const
type Counters = Pick<TcpInfo, (typeof evidenceFields)[number] | (typeof tableFields)[number]>

/**
 * The verdict on a socket of the kernel's list, which must include tcp_info. `ls`, `inspect`, `doctor`, `watch` and `export` all use this
 * function, so that they agree.
 */
export function verdictOfRecord(record: SocketRecord): Verdict {
  return decide(record, readEvidence(record))
}

/** Ten times as fast as {@link SocketRecord.pickInfo}, which matters for tens of thousands of records every second. */
function readEvidence(record: SocketRecord): Telling | undefined {
  const state = record.readInfo('state')
  if (state === undefined) return undefined
  return {
    state,
    retransmits: record.readInfo('retransmits')!,
    probes: record.readInfo('probes')!,
    lastDataSent: record.readInfo('lastDataSent')!,
    lastDataRecv: record.readInfo('lastDataRecv')!,
    lastAckRecv: record.readInfo('lastAckRecv')!,
  }
}

/** Whether the verdict is `suspect`. Two counters rule that out for most records. */
export function isSuspect(record: SocketRecord): boolean {
  if (record.readInfo('probes') === 0 && record.readInfo('retransmits') === 0) return false
  return verdictOfRecord(record) === 'suspect'
}

/** The verdict with its evidence, and the counters for a table. */
export function judgeRecord(record: SocketRecord): Judged {
  const counters = record.pickInfo(...evidenceFields, ...tableFields)
  return {
    verdict: decide(record, counters),
    evidence: evidenceFor(record, counters),
    counters,
    silentFor: counters && record.state !== 'listen' ? silentFor(counters) : undefined,
  }
}

function decide(record: SocketRecord, info: Telling | undefined): Verdict {
  if (isAbandoned(record)) return 'closing'
  if (info) return verdictOf(info)
  if (record.state !== 'syn-recv') return 'closing'
  return record.retries > 0 ? 'suspect' : 'alive'
}

function evidenceFor(record: SocketRecord, info: Telling | undefined): string {
  const { state, timer, retries } = record
  if (isAbandoned(record)) {
    const isUnanswered = timer === 'retransmit' && retries > 0
    return `closed by its program${isUnanswered ? `, ${times(retries, 'retransmission')} unanswered` : ''}`
  }
  if (info) return judge(info).evidence
  if (state !== 'syn-recv') return 'closed by both sides'
  return retries > 0 ? 'connecting, SYN-ACK sent again' : 'connecting'
}

const closedHere: ReadonlySet<SocketState> = new Set(['fin-wait-1', 'fin-wait-2', 'closing', 'last-ack'])

/** Whether the program has closed the socket: the kernel finishes the close alone, within a minute or two. */
export function isAbandoned({ state, inode }: Pick<SocketRecord, 'state' | 'inode'>): boolean {
  return inode === undefined && closedHere.has(state)
}

const order: readonly Verdict[] = ['dead', 'suspect', 'unknown', 'closing', 'alive']

/** Sorts trouble first, then by idle time, the longest first. */
export function byTrouble(a: Judged, b: Judged): number {
  return order.indexOf(a.verdict) - order.indexOf(b.verdict) || (b.silentFor ?? 0) - (a.silentFor ?? 0)
}
