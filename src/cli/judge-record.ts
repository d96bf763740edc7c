import { type Judgement, judge } from '../detect/verdict.js'
import type { SocketRecord } from '../host.js'
import type { Verdict } from '../index.js'
import { silentFor } from '../kernel/tcp-info.js'

export interface Judged extends Judgement {
  /** ms since the peer was last heard; `undefined` where the kernel does not tell. */
  readonly silentFor: number | undefined
}

/** What the kernel's list says of a socket. It has no tcp_info of those in `time-wait` and `syn-recv`. */
export function judgeRecord({ state, info, retries }: SocketRecord): Judged {
  if (info) return { ...judge(info), silentFor: state === 'listen' ? undefined : silentFor(info) }
  if (state !== 'syn-recv')
    return { verdict: 'closing', evidence: 'closed by both sides', silentFor: undefined }
  return retries > 0
    ? { verdict: 'suspect', evidence: 'connecting, SYN-ACK sent again', silentFor: undefined }
    : { verdict: 'alive', evidence: 'connecting', silentFor: undefined }
}

const order: readonly Verdict[] = ['dead', 'suspect', 'closing', 'alive']

/** Trouble first, and among the same the longest silence. */
export function byTrouble(a: Judged, b: Judged): number {
  return order.indexOf(a.verdict) - order.indexOf(b.verdict) || (b.silentFor ?? 0) - (a.silentFor ?? 0)
}
