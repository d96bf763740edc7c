import { InvalidTypeError } from '../errors.js'
import type { CounterGroups } from './counters.js'

/** What the kernel counts that concerns dead peers. What this kernel does not count is `undefined`. */
export interface LivenessCounters {
  /** Keepalive probes sent: `TcpExt.TCPKeepAlive`. */
  readonly keepaliveProbes: number | undefined
  /** Probes of a closed window sent: `TcpExt.TCPWinProbe`. */
  readonly windowProbes: number | undefined
  /** Firings of a retransmission timer, the last one, which gives up, and those for SYNs included: `TcpExt.TCPTimeouts`. */
  readonly retransmissionTimeouts: number | undefined
  /**
   * Connections and attempts that the kernel gave up: by keepalive, user timeout, retransmission, an unopened window.
   * `TcpExt.TCPAbortOnTimeout`.
   */
  readonly abortsOnTimeout: number | undefined
  /** Connections ended whose reset could not be sent: `TcpExt.TCPAbortFailed`. Counted in `resetsSent` all the same. */
  readonly failedAborts: number | undefined
  /** Resets sent: `Tcp.OutRsts`. Also those that refuse a connection, and the one with which keepalive gives a peer up. */
  readonly resetsSent: number | undefined
  /**
   * Connections that went from ESTABLISHED or CLOSE_WAIT to CLOSED at once: `Tcp.EstabResets`. By a reset received, but as well by
   * one sent, or because the kernel gave up: the kernel has no counter of resets received.
   */
  readonly endedAbruptly: number | undefined
  /**
   * ICMP errors that quote a segment outside the window, and were ignored: `TcpExt.OutOfWindowIcmps`. All that answer a keepalive
   * probe do.
   */
  readonly outOfWindowIcmps: number | undefined
  /** Connections in ESTABLISHED or CLOSE_WAIT now: `Tcp.CurrEstab`. A gauge, so `undefined` of rates. */
  readonly established: number | undefined
}

/**
 * The counters that concern dead peers, by what they mean: of a reading, or of rates per second. Pure.
 *
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE` for what are no counters.
 * @example
 * ```ts
 * const { abortsOnTimeout, established } = livenessCounters(readCounters())
 * ```
 */
export function livenessCounters(counters: Pick<CounterGroups, 'Tcp' | 'TcpExt'>): LivenessCounters {
  const { Tcp, TcpExt } = counters ?? {}
  if (typeof Tcp !== 'object' || Tcp === null || typeof TcpExt !== 'object' || TcpExt === null) {
    const message =
      'counters must be what readCounters or diffCounters returned: its Tcp and TcpExt are needed.'
    throw new InvalidTypeError(message, { field: 'counters' })
  }
  return {
    keepaliveProbes: TcpExt.TCPKeepAlive,
    windowProbes: TcpExt.TCPWinProbe,
    retransmissionTimeouts: TcpExt.TCPTimeouts,
    abortsOnTimeout: TcpExt.TCPAbortOnTimeout,
    failedAborts: TcpExt.TCPAbortFailed,
    resetsSent: Tcp.OutRsts,
    endedAbruptly: Tcp.EstabResets,
    outOfWindowIcmps: TcpExt.OutOfWindowIcmps,
    established: Tcp.CurrEstab,
  }
}
