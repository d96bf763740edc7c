import type { TcpInfo } from '../kernel/tcp-info.js'

/**
 * - `alive`: nothing speaks against it.
 * - `suspect`: something the peer should have answered is unanswered.
 * - `dead`: the kernel has given the connection up.
 * - `closing`: one side has closed; what remains is not a death.
 */
export type Verdict = 'alive' | 'suspect' | 'dead' | 'closing'

export interface Judgement {
  readonly verdict: Verdict
  /** Why, in words. */
  readonly evidence: string
}

const ESTABLISHED = 1
const SYN_SENT = 2
const SYN_RECV = 3
const CLOSE = 7
const LISTEN = 10

/** What the kernel's counters say of a connection. Pure. */
export function judge(info: TcpInfo): Judgement {
  const silence = `silent for ${seconds(Math.min(info.lastDataRecv, info.lastAckRecv))}`
  switch (info.state) {
    case LISTEN:
      return { verdict: 'alive', evidence: 'listening' }
    case CLOSE:
      return { verdict: 'dead', evidence: closedBecause(info) }
    case SYN_SENT:
    case SYN_RECV:
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
  if (info.state !== ESTABLISHED) return { verdict: 'closing', evidence: `closing, ${silence}` }
  return { verdict: 'alive', evidence: silence }
}

/** In CLOSE the counters stay as they were when the kernel gave up. */
function closedBecause(info: TcpInfo): string {
  if (info.probes > 0) return `closed by the kernel with ${times(info.probes, 'probe')} unanswered`
  if (info.retransmits > 0) return `closed by the kernel after ${times(info.retransmits, 'retransmission')}`
  return 'closed'
}

function times(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
