import type { Evidence } from './evidence.js'

/** The result of a probe. */
export interface ProbeResult {
  /**
   * `undefined`: not known. Nothing could be sent (data is queued behind a closed window, the connection is being closed, the wait was
   * aborted), or the kernel was probing already, and fewer times than `attempts`.
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
   * - `error`: it could not be probed; `error` says why. From {@link probeAll} only.
   */
  readonly evidence: Evidence
  /** Why it could not be probed, if `evidence` is `error`. */
  readonly error?: Error
  /** From the probe to the answer, in ms; in ticks of the kernel (1 to 10 ms), one of which may pass before the probe leaves. */
  readonly rtt?: number
  /** How many probes were sent: by this call, or by the kernel if that was probing. */
  readonly attempts: number
  /** How long since the peer was last heard, in ms; NaN if there is no connection any more. */
  readonly idleFor: number
}
