import type { Evidence } from './evidence.js'

/** The result of a probe. */
export interface ProbeResult {
  /**
   * `undefined`: not known. Either no probe could be sent (data is queued behind a closed window, the connection is being closed, the wait was
   * aborted), or the kernel was probing already and has sent fewer probes than `attempts`.
   */
  readonly alive: boolean | undefined
  /**
   * - `recent`: the peer was heard within the last second; nothing was sent.
   * - `ack`: the peer answered.
   * - `retransmitting`: data is in flight, and its retransmissions are unanswered.
   * - `window-probe`: data is queued behind a closed window, which the kernel probes. With `alive`: the peer answered.
   * - `silence`: no probe was answered.
   * - `closed`: the connection is closed, or being closed.
   * - `aborted`: by `signal`.
   * - `error`: the peer could not be probed; `error` has the reason. From {@link probeAll} only.
   */
  readonly evidence: Evidence
  /** The reason why the peer could not be probed. Only if `evidence` is `error`. */
  readonly error?: Error
  /** Time from the probe to the answer, in ms. The resolution is a tick of the kernel (1 to 10 ms). A tick may pass before the probe leaves. */
  readonly rtt?: number
  /** How many probes were sent: by this call, or by the kernel if it was probing already. */
  readonly attempts: number
  /** Time since the peer was last heard, in ms; NaN if the connection no longer exists. */
  readonly idleFor: number
}
