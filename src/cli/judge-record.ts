import { type Judgement, judge } from '../detect/verdict.js'
import type { SocketRecord } from '../host.js'
import type { TcpInfo, Verdict } from '../index.js'
import { silentFor } from '../kernel/tcp-info.js'

export interface Judged extends Judgement {
  /** ms since the peer was last heard; `undefined` where the kernel does not tell. */
  readonly silentFor: number | undefined
  /** What a table of thousands shows of tcp_info. The kernel has none of those in `time-wait` and `syn-recv`. */
  readonly counters: Counters | undefined
}

const telling = ['state', 'lastDataRecv', 'lastAckRecv'] as const
const shown = ['probes', 'retransmits', 'totalRetrans', 'rtt', 'rto'] as const
type Counters = Pick<TcpInfo, (typeof shown | typeof telling)[number]>

/** What the kernel's list says of a socket. */
export function judgeRecord(record: SocketRecord): Judged {
  const { state, retries } = record
  const counters = record.pickInfo(...telling, ...shown)
  if (counters) {
    return {
      ...judge(counters),
      counters,
      silentFor: state === 'listen' ? undefined : silentFor(counters),
    }
  }
  const unheard = { silentFor: undefined, counters }
  if (state !== 'syn-recv') return { verdict: 'closing', evidence: 'closed by both sides', ...unheard }
  return retries > 0
    ? { verdict: 'suspect', evidence: 'connecting, SYN-ACK sent again', ...unheard }
    : { verdict: 'alive', evidence: 'connecting', ...unheard }
}

const order: readonly Verdict[] = ['dead', 'suspect', 'closing', 'alive']

/** Trouble first, and among the same the longest silence. */
export function byTrouble(a: Judged, b: Judged): number {
  return order.indexOf(a.verdict) - order.indexOf(b.verdict) || (b.silentFor ?? 0) - (a.silentFor ?? 0)
}
