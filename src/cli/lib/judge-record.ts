import { times } from '../../format.js'
import type { SocketRecord, SocketState } from '../../host/index.js'
import type { TcpInfo, Verdict } from '../../index.js'
import { type Judgement, judge, type VerdictCounters as Telling, verdictOf } from '../../inspect/verdict.js'
import { silentFor } from '../../kernel/tcp-info.js'

export interface Judged extends Judgement {
  /** ms since the peer was last heard; `undefined` where the kernel does not tell. */
  readonly silentFor: number | undefined
  /** What a table of thousands shows of tcp_info. The kernel has none of those in `time-wait` and `syn-recv`. */
  readonly counters: Counters | undefined
}

const telling = ['state', 'retransmits', 'probes', 'lastDataSent', 'lastDataRecv', 'lastAckRecv'] as const
const shown = ['totalRetrans', 'rtt', 'rto'] as const
type Counters = Pick<TcpInfo, (typeof telling)[number] | (typeof shown)[number]>

/**
 * The verdict on a socket of the kernel's list, which has to be with tcp_info. `ls`, `inspect`, `doctor`, `watch` and `export` all go by this one, so
 * that they agree.
 */
export function verdictOfRecord(record: SocketRecord): Verdict {
  return decide(record, readTelling(record))
}

/** {@link SocketRecord.pickInfo} takes ten times as long, which matters for tens of thousands every second. */
function readTelling(record: SocketRecord): Telling | undefined {
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

/** Whether that is `suspect`. Most are not, as two counters say. */
export function isSuspect(record: SocketRecord): boolean {
  if (record.readInfo('probes') === 0 && record.readInfo('retransmits') === 0) return false
  return verdictOfRecord(record) === 'suspect'
}

/** The same with its evidence, and what a table shows beside it. */
export function judgeRecord(record: SocketRecord): Judged {
  const counters = record.pickInfo(...telling, ...shown)
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

/** Trouble first, and among the same the longest silence. */
export function byTrouble(a: Judged, b: Judged): number {
  return order.indexOf(a.verdict) - order.indexOf(b.verdict) || (b.silentFor ?? 0) - (a.silentFor ?? 0)
}
