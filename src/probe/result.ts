import type { PathState } from '../connection/destinations.js'
import type { Evidence } from './evidence.js'

/** The result of a probe. */
export interface ProbeResult {
  /**
   * `undefined`: not known, for one of these reasons:
   *
   * - No probe was answered, and the path is not known to answer probes: see `path`.
   * - No probe could be sent: data is queued behind a closed window, the connection is being closed, or the wait was aborted.
   * - The kernel was probing already, and has sent fewer probes than `attempts`.
   */
  readonly alive: boolean | undefined
  /**
   * - `recent`: the peer was heard within the last second; nothing was sent.
   * - `ack`: the peer answered.
   * - `retransmitting`: data is in flight, and its retransmissions are unanswered.
   * - `window-probe`: data is queued behind a closed window, which the kernel probes. With `alive`: the peer answered.
   * - `silence`: no probe was answered, on a path that has answered before.
   * - `unproven-path`: no probe was answered, and this connection has never been seen to answer one.
   * - `deaf-path`: no probe was answered, and the path passes data but no probes.
   * - `confirmed`: no probe was answered, but the peer acknowledged what `confirm` sent. So the path is deaf.
   * - `closed`: the connection is closed, or being closed.
   * - `aborted`: by `signal`.
   * - `error`: the peer could not be probed; `error` has the reason. From {@link probeAll} only.
   */
  readonly evidence: Evidence
  /**
   * Whether the path answers probes: `answers` if this connection has answered one, `deaf` if it passes data and no probes, `unproven` if neither
   * is known. Connections within this host count as answering until they show otherwise. An outgoing connection that has shown neither takes what
   * others to the same address and port have shown within the last hour. Absent if the connection could not be read.
   */
  readonly path?: PathState
  /** The reason why the peer could not be probed. Only if `evidence` is `error`. */
  readonly error?: Error
  /** Time from the probe to the answer, in ms. The resolution is a tick of the kernel (1 to 10 ms). A tick may pass before the probe leaves. */
  readonly rtt?: number
  /** How many probes were sent: by this call, or by the kernel if it was probing already. */
  readonly attempts: number
  /** Time since the peer was last heard, in ms; NaN if the connection no longer exists. */
  readonly idleFor: number
}

/** Whether no probe was answered on a path that is not known to answer. */
export function isUnproven(result: ProbeResult | undefined): boolean {
  return result?.evidence === 'unproven-path' || result?.evidence === 'deaf-path'
}
