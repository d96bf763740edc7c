import { seconds, times } from '../format.js'
import { silentFor, type TcpInfo, TcpState } from '../kernel/tcp-info.js'

/**
 * What the kernel's counters show about the peer of a connection, at one moment:
 *
 * - `alive`: the peer was heard within the last 60 s, or acknowledged a probe within the last 5 minutes, and nothing is unanswered.
 * - `unknown`: nothing is unanswered, but the peer was not heard for 60 s and no probe was acknowledged for 5 minutes. The peer may be
 *   there or gone; {@link probe} finds out.
 * - `suspect`: a probe, a SYN or data is unacknowledged.
 * - `dead`: the kernel has given the connection up, after unanswered probes or retransmissions.
 * - `closing`: one side or both have closed, or one has reset it, and nothing is unanswered.
 *
 * A listener is `alive`, and so is a connection attempt until its SYN is sent again.
 *
 * A probe counts as acknowledged if `lastAckRecv` is at least 1 s below both `lastDataSent` and `lastDataRecv`. An acknowledgement of data would have
 * come sooner. A window update that the peer sends on its own looks the same, and it also proves that the peer is alive. The counters do not show a
 * probe that the *peer* sends.
 */
export type Verdict = 'alive' | 'unknown' | 'suspect' | 'dead' | 'closing'

export interface Judgement {
  readonly verdict: Verdict
  /** Why, in words. */
  readonly evidence: string
}

/** The counters that a verdict is made from. */
export type VerdictCounters = Pick<
  TcpInfo,
  'state' | 'retransmits' | 'probes' | 'lastDataSent' | 'lastDataRecv' | 'lastAckRecv'
>

/** A peer that was heard within this time is alive, ms. */
export const HEARD_WITHIN = 60_000

/** A peer that acknowledged a probe within this time is alive, ms. */
export const PROBED_WITHIN = 300_000

/** The least time between the last data and a probe, which is the least `TCP_KEEPIDLE`, ms. */
const PROBE_AFTER = 1_000

/** The verdict for the counters of one moment. Every verdict of this package is made here. Pure. */
export function verdictOf(info: VerdictCounters): Verdict {
  const isUnanswered = info.retransmits > 0 || info.probes > 0
  switch (info.state) {
    case TcpState.LISTEN:
      return 'alive'
    case TcpState.CLOSE:
      // If the kernel gave up, the counters keep their last values. After a reset, or a close by both sides, they are 0.
      return isUnanswered ? 'dead' : 'closing'
    case TcpState.SYN_SENT:
    case TcpState.SYN_RECV:
      return info.retransmits > 0 ? 'suspect' : 'alive'
  }
  if (isUnanswered) return 'suspect'
  if (info.state !== TcpState.ESTABLISHED) return 'closing'
  return silentFor(info) <= HEARD_WITHIN || hasAnsweredProbe(info) ? 'alive' : 'unknown'
}

/** The verdict with its evidence. Pure. */
export function judge(info: VerdictCounters): Judgement {
  const verdict = verdictOf(info)
  return { verdict, evidence: evidenceFor(verdict, info) }
}

function hasAnsweredProbe({ lastAckRecv, lastDataRecv, lastDataSent }: VerdictCounters): boolean {
  return lastAckRecv <= PROBED_WITHIN && lastAckRecv + PROBE_AFTER <= Math.min(lastDataRecv, lastDataSent)
}

function closedBy(state: number): string {
  switch (state) {
    case TcpState.CLOSE_WAIT:
      return 'closed by the peer'
    case TcpState.FIN_WAIT1:
    case TcpState.FIN_WAIT2:
      return 'closed by this side'
    default:
      return 'closed by both sides'
  }
}

function evidenceFor(verdict: Verdict, info: VerdictCounters): string {
  const { state, probes, retransmits, lastAckRecv } = info
  const silence = `silent for ${seconds(silentFor(info))}`
  switch (state) {
    case TcpState.LISTEN:
      return 'listening'
    case TcpState.CLOSE:
      if (probes > 0) return `closed by the kernel with ${times(probes, 'probe')} unanswered`
      return retransmits > 0
        ? `closed by the kernel after ${times(retransmits, 'retransmission')}`
        : 'closed by both sides, or reset'
    case TcpState.SYN_SENT:
    case TcpState.SYN_RECV:
      return retransmits > 0 ? `connecting, ${times(retransmits, 'SYN')} sent again` : 'connecting'
  }
  switch (verdict) {
    case 'suspect':
      return retransmits > 0
        ? `${times(retransmits, 'retransmission')} unanswered, ${silence}`
        : `${times(probes, 'probe')} unanswered, ${silence}`
    case 'closing':
      return `${closedBy(state)}, ${silence}`
    case 'unknown':
      return `${silence}, and no probe acknowledged within ${PROBED_WITHIN / 60_000} min`
    default:
      return silentFor(info) <= HEARD_WITHIN
        ? `heard ${seconds(silentFor(info))} ago`
        : `acknowledged a probe ${seconds(lastAckRecv)} ago`
  }
}
