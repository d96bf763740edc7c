import type { Keepalive, Look } from '../kernel/liveness.js'
import { TcpState } from '../kernel/tcp-info.js'
import type { OwnClock } from '../overlay/guard.js'

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

/** Who asks the peer. `us`: nobody yet, and we can. The others are the kernel's own, and nothing is added to them. */
export type Asks = 'closed' | 'retransmission' | 'window-probe' | 'keepalive' | 'us'

/** Under so much silence there is nothing to ask; it is TCP_KEEPIDLE's least value, in ms. */
export const RECENT = 1_000

/**
 * The least time between two attempts, in ms. A Linux peer answers a segment such as a probe once in tcp_invalid_ratelimit (500 ms)
 * for each connection: asked sooner, a healthy one whose answer was lost says nothing.
 */
export const LEAST_GAP = 510

/** The kernel's own probe is let pass if it is due within this, in ms: it too would go unanswered. A busy socket's timer is 50 ms late. */
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
export function timeoutOfPath({ rto, retransmits }: Look): number {
  return rto / 2 ** retransmits
}

export function silenceOf(look: Look): number {
  return look.seenAt - look.heardAt
}

/**
 * Who asks a peer that has been silent for long enough.
 *
 * @param unanswered how many of the unanswered probes are ours.
 */
export function whoAsks(look: Look, own: Keepalive, unanswered: number): Asks {
  if (!isOpen(look.state)) return 'closed'
  if (look.unacked > 0) return 'retransmission'
  if (look.notSent > 0) return 'window-probe'
  // Or somebody else does: another process's question is let pass as well.
  return own.enable && look.probes > unanswered ? 'keepalive' : 'us'
}

/** Whether the kernel is about to ask by its own clock. */
export function isImminent(look: Look, own: Keepalive, clock: OwnClock): boolean {
  return own.enable && clock.due - silenceOf(look) < IMMINENT
}

/** How often the peer has been asked in vain. What was sent first counts, and each time that it was sent again. */
export function timesAsked(look: Look, asks: Asks): number {
  return asks === 'retransmission' ? 1 + look.retransmits : look.probes
}

/** Whether what is unanswered are probes of a closed window. */
export function isWindowShut(look: Look): boolean {
  return look.unacked === 0 && look.notSent > 0
}

/** What it is called when the peer has been heard. */
export function answerTo(asks: Asks): Evidence {
  return asks === 'window-probe' ? 'window-probe' : 'ack'
}

/** What it is called when it has not. */
export function silenceTo(asks: Asks): Evidence {
  if (asks === 'retransmission') return 'retransmitting'
  return asks === 'window-probe' ? 'window-probe' : 'silence'
}
