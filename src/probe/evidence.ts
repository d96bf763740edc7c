import type { Keepalive, Sample } from '../kernel/liveness.js'
import { TcpState } from '../kernel/tcp-info.js'
import type { KeepaliveClock } from '../overlay/clock.js'

/**
 * Why a {@link ProbeResult} says what it says.
 *
 * @inline
 */
export type Evidence =
  | 'recent'
  | 'ack'
  | 'retransmitting'
  | 'window-probe'
  | 'silence'
  | 'closed'
  | 'aborted'
  | 'error'

/** The prober of the peer. `us`: the kernel does not probe, so we send a probe. Otherwise the kernel's own transmissions are only observed. */
export type Prober = 'closed' | 'retransmission' | 'window-probe' | 'keepalive' | 'us'

/** A peer that was heard so recently is not probed: TCP_KEEPIDLE's least value, in ms. */
export const RECENT = 1_000

/**
 * The least time between two attempts, in ms. A Linux peer answers such segments once in tcp_invalid_ratelimit (500 ms) for each connection:
 * probed sooner, a healthy peer whose first answer was lost does not answer.
 */
export const LEAST_GAP = 510

/** If the kernel's own probe is due within this, in ms, we wait for it: sent shortly after ours, it would go unanswered. */
export const IMMINENT = LEAST_GAP + 90

/**
 * How long a probe of a closed window may go unanswered, in ms. One that follows an answered one within tcp_invalid_ratelimit is not answered
 * for the same reason, and the next comes after twice as long; a timer is late by an eighth.
 */
export const WINDOW_GRACE = 1_200

/** A connection that is neither closed nor closing. */
export function isOpen(state: number): boolean {
  return state === TcpState.ESTABLISHED
}

/** The path's own retransmission timeout: the kernel doubles it with each retransmission, which is taken back here. */
export function timeoutOfPath({ rto, retransmits }: Sample): number {
  return rto / 2 ** retransmits
}

export function silenceOf(sample: Sample): number {
  return sample.sampledAt - sample.heardAt
}

/**
 * The prober of an idle connection.
 *
 * @param isKeepaliveOn by the owner's options.
 * @param unanswered how many of the unanswered probes are ours.
 */
export function proberOf(sample: Sample, isKeepaliveOn: boolean, unanswered: number): Prober {
  if (!isOpen(sample.state)) return 'closed'
  if (sample.unacked > 0) return 'retransmission'
  if (sample.notSent > 0) return 'window-probe'
  // Or another process probes it: its probe is only observed as well.
  return isKeepaliveOn && sample.probes > unanswered ? 'keepalive' : 'us'
}

/** Whether the kernel's own probe is due at any moment. */
export function isImminent(sample: Sample, own: Keepalive, clock: KeepaliveClock): boolean {
  return own.enable && clock.due - silenceOf(sample) < IMMINENT
}

/** How often something was sent without an answer: the first transmission counts, and each retransmission. */
export function timesProbed(sample: Sample, prober: Prober): number {
  return prober === 'retransmission' ? 1 + sample.retransmits : sample.probes
}

/** Whether what is unanswered are probes of a closed window. */
export function isWindowShut(sample: Sample): boolean {
  return sample.unacked === 0 && sample.notSent > 0
}

/** What a result says if the peer was heard. */
export function evidenceOfAnswer(prober: Prober): Evidence {
  return prober === 'window-probe' ? 'window-probe' : 'ack'
}

/** What a result says if it was not. */
export function evidenceOfSilence(prober: Prober): Evidence {
  if (prober === 'retransmission') return 'retransmitting'
  return prober === 'window-probe' ? 'window-probe' : 'silence'
}
