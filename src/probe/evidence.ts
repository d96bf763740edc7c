import type { Keepalive, Sample } from '../kernel/liveness.js'
import { TcpState } from '../kernel/tcp-info.js'
import type { KeepaliveClock } from '../overlay/clock.js'

/**
 * The reason for a {@link ProbeResult}.
 *
 * @inline
 */
export type Evidence =
  | 'recent'
  | 'ack'
  | 'retransmitting'
  | 'window-probe'
  | 'silence'
  | 'unproven-path'
  | 'deaf-path'
  | 'confirmed'
  | 'closed'
  | 'aborted'
  | 'error'

/** What probes the peer. `us`: the kernel does not probe, so we do. Otherwise we only observe the kernel's own transmissions. */
export type Prober = 'closed' | 'retransmission' | 'window-probe' | 'keepalive' | 'us'

/** A peer that was heard so recently is not probed: TCP_KEEPIDLE's least value, in ms. */
export const RECENT = 1_000

/**
 * The least time between two attempts, in ms. A Linux peer answers such segments at most once in tcp_invalid_ratelimit (500 ms) per
 * connection. If its first answer was lost and we probe sooner, a live peer does not answer.
 */
export const LEAST_GAP = 510

/** If the kernel's own probe is due within this time, in ms, we wait for it. A kernel probe shortly after ours would go unanswered. */
export const IMMINENT = LEAST_GAP + 90

/**
 * How long a probe of a closed window may go unanswered, in ms. A peer does not answer a probe that follows an answered one within
 * tcp_invalid_ratelimit (500 ms). The next probe comes after twice that time, and its timer is late by up to an eighth.
 */
export const WINDOW_GRACE = 1_200

/** A connection that is neither closed nor closing. */
export function isOpen(state: number): boolean {
  return state === TcpState.ESTABLISHED
}

/** The path's own retransmission timeout. The kernel doubles it with each retransmission; this undoes the doubling. */
export function timeoutOfPath({ rto, retransmits }: Sample): number {
  return rto / 2 ** retransmits
}

export function silenceOf(sample: Sample): number {
  return sample.sampledAt - sample.heardAt
}

/**
 * What probes an idle connection.
 *
 * @param isKeepaliveOn whether the owner's options enable keepalive.
 * @param unanswered how many of the unanswered probes are ours.
 */
export function proberOf(sample: Sample, isKeepaliveOn: boolean, unanswered: number): Prober {
  if (!isOpen(sample.state)) return 'closed'
  if (sample.unacked > 0) return 'retransmission'
  if (sample.notSent > 0) return 'window-probe'
  // If another process probes the connection, its probes are only observed too.
  return isKeepaliveOn && sample.probes > unanswered ? 'keepalive' : 'us'
}

/** Whether the kernel's own probe is due within {@link IMMINENT}. */
export function isImminent(sample: Sample, own: Keepalive, clock: KeepaliveClock): boolean {
  return own.enable && clock.due - silenceOf(sample) < IMMINENT
}

/** How often a segment was sent without an answer. The first transmission counts, and so does each retransmission. */
export function timesProbed(sample: Sample, prober: Prober): number {
  return prober === 'retransmission' ? 1 + sample.retransmits : sample.probes
}

/** Whether the unanswered segments are probes of a closed window. */
export function isWindowShut(sample: Sample): boolean {
  return sample.unacked === 0 && sample.notSent > 0
}

/** The evidence of a result if the peer was heard. */
export function evidenceOfAnswer(prober: Prober): Evidence {
  return prober === 'window-probe' ? 'window-probe' : 'ack'
}

/** The evidence of a result if the peer was not heard. */
export function evidenceOfSilence(prober: Prober): Evidence {
  if (prober === 'retransmission') return 'retransmitting'
  return prober === 'window-probe' ? 'window-probe' : 'silence'
}
