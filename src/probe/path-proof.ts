import { ConnectionPath, SAME, showsAnsweredProbe } from '../connection/path.js'
import { pathOf } from '../connection/record.js'
import type { NativeCore } from '../kernel/binding.js'
import type { Keepalive, Sample } from '../kernel/liveness.js'
import type { Attempts } from './attempts.js'
import type { ProbeResult } from './result.js'
import type { Subject } from './subject.js'
import type { Waiter } from './waiters.js'

/** Learns from one probe session whether the path answers probes, and says what silence and answers mean on it. */
export class PathProof {
  readonly #core: NativeCore
  readonly #descriptor: () => number
  readonly #path: ConnectionPath
  /** When data was last sent or received before the probe, on the kernel's clock. */
  #dataAt = Number.NaN

  /** @param descriptor the connection's descriptor during a step. */
  constructor(core: NativeCore, { handle }: Subject, descriptor: () => number) {
    this.#core = core
    this.#descriptor = descriptor
    // Nothing is kept of a bare descriptor or of another process's socket.
    this.#path = handle ? pathOf(handle) : new ConnectionPath(false)
  }

  get state() {
    return this.#path.state(this.#core, this.#descriptor())
  }

  /** The connection before the probe. */
  begin(sample: Sample): void {
    this.#dataAt = sample.dataAt
    this.#path.observe(this.#core, this.#descriptor(), sample)
  }

  /** The connection before the probe, with its own options: its own keepalive may have been answered. */
  beginWith(sample: Sample, own: Keepalive): void {
    if (showsAnsweredProbe(sample, own)) this.#path.answered(this.#core, this.#descriptor(), sample)
  }

  /** The result if the peer was heard. If no data was sent or received since the probe, its segment is the answer to the probe. */
  answer(attempts: Attempts, sample: Sample, isConfirming: boolean): ProbeResult {
    const hadData = sample.dataAt - this.#dataAt > SAME
    const isConfirmed = isConfirming && hadData && sample.unacked === 0
    // If data was retransmitted, the path may have passed nothing for a while.
    if (isConfirmed && !attempts.hasRetransmitted) this.#path.deaf(this.#core, this.#descriptor())
    else if (attempts.hasProbed && !hadData) {
      this.#path.answered(this.#core, this.#descriptor(), sample)
    } else this.#path.observe(this.#core, this.#descriptor(), sample)
    return isConfirmed ? attempts.confirmed(sample, this.state) : attempts.answer(sample, this.state)
  }

  /** The result if the peer was heard before a probe was sent. */
  recent(sample: Sample, idleFor: number): ProbeResult {
    this.#path.observe(this.#core, this.#descriptor(), sample)
    return { alive: true, evidence: 'recent', attempts: 0, idleFor, path: this.state }
  }

  /** The result if the peer was not heard. */
  silence(attempts: Attempts, waiter: Waiter, sample: Sample, isKernel: boolean): ProbeResult {
    const result = attempts.silence(waiter, sample, isKernel, this.state)
    const isData = attempts.prober === 'retransmission'
    if (!isData && attempts.hasProbed && result.attempts >= waiter.attempts) this.#path.unanswered(sample)
    return result
  }
}
