import type { Evidence } from './evidence.js'

/** What a peer said, or that it said nothing. */
export interface ProbeResult {
  /**
   * `undefined`: not known. Nothing was asked (data is queued behind a closed window; the connection is being closed; the wait was
   * aborted; it could not be asked), or the kernel was asking already, and fewer times than `attempts`.
   */
  readonly alive: boolean | undefined
  /**
   * - `recent`: heard within the last second; nothing was asked.
   * - `ack`: the peer answered.
   * - `retransmitting`: data is in flight, so retransmissions ask, and have not been answered.
   * - `window-probe`: data is queued behind a closed window, so the kernel's window probes ask. With `alive`: answered.
   * - `silence`: asked, and no answer.
   * - `closed`: the connection is closed, or being closed.
   * - `aborted`: by `signal`.
   * - `error`: not asked; `error` says why. From {@link probeAll} alone.
   */
  readonly evidence: Evidence
  /** Why it could not be asked, where `evidence` is `error`. */
  readonly error?: Error
  /** From the question to the answer, in ms; in ticks of the kernel (1 to 10 ms), of which one may pass until the probe leaves. */
  readonly rtt?: number
  /** How often the peer was asked: by this question, or by the kernel where that was asking. */
  readonly attempts: number
  /** How long since the peer was last heard, in ms; NaN where there is no connection any more. */
  readonly idleFor: number
}
