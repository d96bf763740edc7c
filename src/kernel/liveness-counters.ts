import { InvalidTypeError } from '../errors.js'
import { describe } from '../options/check.js'
import type { CounterGroups } from './counters.js'

/** The kernel's counters about dead peers. A counter that this kernel does not have is `undefined`. */
export interface LivenessCounters {
  /** Keepalive probes sent: `TcpExt.TCPKeepAlive`. */
  readonly keepaliveProbes: number | undefined
  /** Probes of a closed window sent: `TcpExt.TCPWinProbe`. */
  readonly windowProbes: number | undefined
  /** Firings of a retransmission timer: `TcpExt.TCPTimeouts`. Includes those for SYNs, and the last firing, which ends the connection. */
  readonly retransmissionTimeouts: number | undefined
  /**
   * Connections and connection attempts that the kernel ended by a timeout: keepalive, user timeout, retransmission, or probes of a closed
   * window. `TcpExt.TCPAbortOnTimeout`.
   */
  readonly abortsOnTimeout: number | undefined
  /** Ended connections whose reset could not be sent: `TcpExt.TCPAbortFailed`. `resetsSent` counts those resets too. */
  readonly failedAborts: number | undefined
  /** Resets sent: `Tcp.OutRsts`. Includes resets that refuse a connection, and the reset by which keepalive ends a connection. */
  readonly resetsSent: number | undefined
  /**
   * Connections that went from ESTABLISHED or CLOSE_WAIT directly to CLOSED: `Tcp.EstabResets`. Either side sent a reset, or the kernel ended
   * the connection by a timeout. The kernel has no counter for received resets.
   */
  readonly endedAbruptly: number | undefined
  /**
   * Ignored ICMP errors that quote a segment outside the window: `TcpExt.OutOfWindowIcmps`. Every ICMP error for a keepalive probe is one.
   */
  readonly outOfWindowIcmps: number | undefined
  /** Connections in ESTABLISHED or CLOSE_WAIT now: `Tcp.CurrEstab`. A gauge: `undefined` for the rates of `diffCounters`. */
  readonly established: number | undefined
}

/**
 * Picks the counters about dead peers, under names that tell their meaning. Pure.
 *
 * @param counters a result of {@link readCounters}, or rates of {@link diffCounters}.
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE` for anything else.
 * @example
 * ```ts
 * const { abortsOnTimeout, established } = livenessCounters(readCounters())
 * ```
 */
export function livenessCounters(counters: Pick<CounterGroups, 'Tcp' | 'TcpExt'>): LivenessCounters {
  const { Tcp, TcpExt } = counters ?? {}
  if (typeof Tcp !== 'object' || Tcp === null || typeof TcpExt !== 'object' || TcpExt === null) {
    const message = `counters must be a result of readCounters() or diffCounters(); got ${describe(counters)} without Tcp and TcpExt.`
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
