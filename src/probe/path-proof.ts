import { ConnectionPath, SAME, showsAnsweredProbe } from '../connection/path.js'
import { pathOf } from '../connection/record.js'
import type { NativeCore } from '../kernel/binding.js'
import type { Keepalive, Sample } from '../kernel/liveness.js'
import type { Attempts } from './attempts.js'
import type { ProbeResult } from './result.js'
import type { Subject } from './subject.js'
import type { Waiter } from './waiters.js'

/** Records what one probe session shows about the connection's path. Makes the result of a probe, which depends on the path. */
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
    // A bare descriptor, or another process's socket, has no record: what this session learns about its path ends with the session.
    this.#path = handle ? pathOf(handle) : new ConnectionPath(false)
  }

  get state() {
    return this.#path.state(this.#core, this.#descriptor())
  }

  /** Takes the state of the connection before the probe. */
  begin(sample: Sample): void {
    this.#dataAt = sample.dataAt
    this.#path.observe(this.#core, this.#descriptor(), sample)
  }

  /** Records that the path answers if the peer has acknowledged probes of the connection's own keepalive. */
  beginWith(sample: Sample, own: Keepalive): void {
    if (showsAnsweredProbe(sample, own)) this.#path.answered(this.#core, this.#descriptor(), sample)
  }

  /** The result if the peer was heard. If no data was sent or received since the probe, the peer has acknowledged the probe. */
  answer(attempts: Attempts, sample: Sample, isConfirming: boolean): ProbeResult {
    const hadData = sample.dataAt - this.#dataAt > SAME
    const isConfirmed = isConfirming && hadData && sample.unacked === 0
    // If data was retransmitted, the path may have been down, so lost probes do not show that it is deaf.
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
