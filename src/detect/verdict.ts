import { silentFor, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import { seconds, times } from './words.js'

/**
 * - `alive`: nothing speaks against it.
 * - `suspect`: something the peer should have answered is unanswered.
 * - `dead`: the kernel has given the connection up, having asked in vain.
 * - `closing`: one side or both have closed, or one has reset it; the counters show no question left unanswered.
 */
export type Verdict = 'alive' | 'suspect' | 'dead' | 'closing'

export interface Judgement {
  readonly verdict: Verdict
  /** Why, in words. */
  readonly evidence: string
}

/** The counters that tell. */
export type Telling = Pick<TcpInfo, 'state' | 'retransmits' | 'probes' | 'lastDataRecv' | 'lastAckRecv'>

/** What the kernel's counters say of a connection. Pure. */
export function judge(info: Telling): Judgement {
  const silence = `silent for ${seconds(silentFor(info))}`
  switch (info.state) {
    case TcpState.LISTEN:
      return { verdict: 'alive', evidence: 'listening' }
    case TcpState.CLOSE:
      return judgeClosed(info)
    case TcpState.SYN_SENT:
    case TcpState.SYN_RECV:
      return info.retransmits > 0
        ? { verdict: 'suspect', evidence: `connecting, ${times(info.retransmits, 'SYN')} sent again` }
        : { verdict: 'alive', evidence: 'connecting' }
  }
  if (info.retransmits > 0) {
    return {
      verdict: 'suspect',
      evidence: `${times(info.retransmits, 'retransmission')} unanswered, ${silence}`,
    }
  }
  if (info.probes > 0) {
    return { verdict: 'suspect', evidence: `${times(info.probes, 'probe')} unanswered, ${silence}` }
  }
  if (info.state !== TcpState.ESTABLISHED) return { verdict: 'closing', evidence: `closing, ${silence}` }
  return { verdict: 'alive', evidence: silence }
}

/** In CLOSE the counters stay as they were when the kernel gave up. Without any it was closed, or reset: that looks alike. */
function judgeClosed({ probes, retransmits }: Telling): Judgement {
  if (probes > 0) {
    return { verdict: 'dead', evidence: `closed by the kernel with ${times(probes, 'probe')} unanswered` }
  }
  if (retransmits > 0) {
    return { verdict: 'dead', evidence: `closed by the kernel after ${times(retransmits, 'retransmission')}` }
  }
  return { verdict: 'closing', evidence: 'closed by both sides, or reset' }
}
