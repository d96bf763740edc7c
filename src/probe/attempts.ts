import type { Sample } from '../kernel/liveness.js'
import { TcpState } from '../kernel/tcp-info.js'
import {
  evidenceOfAnswer,
  evidenceOfSilence,
  LEAST_GAP,
  type Prober,
  silenceOf,
  timesProbed,
  WINDOW_GRACE,
} from './evidence.js'
import type { ProbeResult } from './result.js'
import { timeoutOf, type Waiter } from './waiters.js'

/** How often a connection was probed so far, by whom, and the results that follow. Times in ms, on performance.now(). */
export class Attempts {
  prober: Prober = 'us'
  /** Ours. */
  count = 0
  probedAt = Number.NEGATIVE_INFINITY
  /** When the kernel's own probe, which is waited for, has left at the latest. */
  kernelProbesBy = Number.NEGATIVE_INFINITY
  /** How many probes the kernel's own timer has sent. */
  #byKernel = 0
  /** When the last was sent, on the kernel's clock; undefined if it was not ours. */
  #probedAtTick: number | undefined
  /** Attempts that the kernel did not send. */
  #notSent = 0

  /** When we may probe next: a peer answers such segments at most once in 500 ms. */
  get mayProbeAt(): number {
    return this.probedAt + LEAST_GAP
  }

  /** For those who join now: the next attempt has to be as far from the last as any. */
  restart(): void {
    this.prober = 'us'
    this.count = 0
    this.#byKernel = 0
    this.#notSent = 0
  }

  begin(sample: Sample, now: number): void {
    this.prober = 'us'
    this.count++
    this.probedAt = now
    this.#probedAtTick = sample.sampledAt
  }

  /** The kernel has sent so many for a heartbeat, the last one at that time. */
  takeOver(count: number, probedAt: number): void {
    this.count = count
    this.probedAt = probedAt
    this.#probedAtTick = undefined
  }

  /** The kernel has not sent the last one. */
  notSent(): void {
    this.count--
    this.#notSent++
  }

  /** The kernel's own timer probes. */
  observe(prober: Prober, sample: Sample, waiting: readonly Waiter[], now: number): void {
    this.prober = prober
    this.#byKernel = timesProbed(sample, prober)
    for (const waiter of waiting) waiter.enoughAt = this.#byKernel >= waiter.attempts ? now : undefined
  }

  /** Whether a waiter's attempts of ours are over without an answer. */
  isOverForUs(waiter: Waiter, sample: Sample, now: number): boolean {
    const isOver = now >= this.probedAt + timeoutOf(waiter, sample)
    return isOver && (this.count >= waiter.attempts || this.#notSent > waiter.attempts)
  }

  /** Whether those of the kernel's are. */
  isOverForKernel(waiter: Waiter, sample: Sample, now: number): boolean {
    this.#byKernel = timesProbed(sample, this.prober)
    if (this.#byKernel >= waiter.attempts) waiter.enoughAt ??= now
    if (waiter.enoughAt === undefined) return now >= waiter.deadline!
    // The last one has its time, too.
    const grace = this.prober === 'window-probe' ? WINDOW_GRACE : 0
    return now >= waiter.enoughAt + Math.max(grace, timeoutOf(waiter, sample))
  }

  silence(waiter: Waiter, sample: Sample, isKernel: boolean): ProbeResult {
    const attempts = isKernel ? this.#byKernel : this.count
    const alive = attempts >= waiter.attempts ? false : undefined
    return { alive, evidence: evidenceOfSilence(this.prober), attempts, idleFor: silenceOf(sample) }
  }

  answer(sample: Sample): ProbeResult {
    const isOurs = this.prober === 'us'
    // A probe of the kernel's own that is answered between two samples is not seen.
    const byKernel = isOurs ? 0 : Math.max(1, this.#byKernel)
    // With more than one attempt it is not known which was answered.
    const sentAt = isOurs && this.count === 1 ? this.#probedAtTick : undefined
    return {
      alive: true,
      evidence: evidenceOfAnswer(this.prober),
      ...(sentAt !== undefined && { rtt: Math.max(0, Math.round(sample.heardAt - sentAt)) }),
      attempts: Math.max(this.count, byKernel),
      idleFor: silenceOf(sample),
    }
  }

  aborted(): ProbeResult {
    return { alive: undefined, evidence: 'aborted', attempts: this.count, idleFor: Number.NaN }
  }

  /** @param sample of a connection that is closed, or being closed; without one it is gone. */
  closed(sample?: Sample): ProbeResult {
    // If only one side has closed, the peer may be there.
    const isHalf = sample && sample.state !== TcpState.CLOSE
    return {
      alive: isHalf ? undefined : false,
      evidence: 'closed',
      attempts: this.count,
      idleFor: isHalf ? silenceOf(sample) : Number.NaN,
    }
  }
}
