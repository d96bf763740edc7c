import type { PathState } from '../connection/destinations.js'
import type { Sample } from '../kernel/liveness.js'
import { TcpState } from '../kernel/tcp-info.js'
import {
  type Evidence,
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

/** Counts the probes of one connection, ours and the kernel's, and derives the results. Times in ms, on performance.now(). */
export class Attempts {
  prober: Prober = 'us'
  /** Attempts that we have made. */
  count = 0
  probedAt = Number.NEGATIVE_INFINITY
  /** The latest time at which the kernel's own probe, which we wait for, is sent. */
  kernelProbesBy = Number.NEGATIVE_INFINITY
  /** How many probes the kernel's own timer has sent. */
  #byKernel = 0
  /** When our last attempt was sent, on the kernel's clock; undefined if the kernel sent it. */
  #probedAtTick: number | undefined
  /** Attempts that the kernel did not send. */
  #notSent = 0
  /** Whether the kernel counts so many unanswered probes that another one could end the connection. */
  isAtLimit = false

  /** When we may probe next: a peer answers such segments at most once in 500 ms. */
  get mayProbeAt(): number {
    return this.probedAt + LEAST_GAP
  }

  /** Starts a new count for waiters that join now. `probedAt` is kept, so the next attempt is at least {@link LEAST_GAP} after the last one. */
  restart(): void {
    this.prober = 'us'
    this.count = 0
    this.#byKernel = 0
    this.#notSent = 0
    this.isAtLimit = false
  }

  begin(sample: Sample, now: number): void {
    this.prober = 'us'
    this.count++
    this.probedAt = now
    this.#probedAtTick = sample.sampledAt
  }

  /** Counts the probes that the kernel has sent for a heartbeat. `probedAt`: when it sent the last one. */
  takeOver(count: number, probedAt: number): void {
    this.count = count
    this.probedAt = probedAt
    this.#probedAtTick = undefined
  }

  /** The kernel did not send the last attempt. */
  notSent(): void {
    this.count--
    this.#notSent++
  }

  /** Records that the kernel's own timers probe or retransmit. */
  observe(prober: Prober, sample: Sample, waiting: readonly Waiter[], now: number): void {
    this.prober = prober
    this.#byKernel = timesProbed(sample, prober)
    for (const waiter of waiting) waiter.enoughAt = this.#isEnough(waiter) ? now : undefined
  }

  /** Whether a probe was sent, by us or by the kernel, whose answer shows that the path answers. */
  get hasProbed(): boolean {
    return this.count > 0 || this.prober === 'keepalive' || this.prober === 'window-probe'
  }

  /** Whether data in flight was retransmitted. */
  get hasRetransmitted(): boolean {
    return this.prober === 'retransmission' && this.#byKernel > 1
  }

  /** What `confirm` has sent gets as many retransmissions as there are attempts. */
  #isEnough(waiter: Waiter): boolean {
    const isConfirming = waiter.confirmBy !== undefined && this.prober === 'retransmission'
    return this.#byKernel >= waiter.attempts + Number(isConfirming)
  }

  /** Whether our attempts for a waiter are over without an answer. */
  isOverForUs(waiter: Waiter, sample: Sample, now: number): boolean {
    if (this.isAtLimit) return true
    const isOver = now >= this.probedAt + timeoutOf(waiter, sample)
    return isOver && (this.count >= waiter.attempts || this.#notSent > waiter.attempts)
  }

  /** Whether the kernel's attempts are over without an answer. */
  isOverForKernel(waiter: Waiter, sample: Sample, now: number): boolean {
    this.#byKernel = timesProbed(sample, this.prober)
    if (this.#isEnough(waiter)) waiter.enoughAt ??= now
    if (waiter.enoughAt === undefined) return now >= waiter.deadline!
    // The last attempt gets its full timeout too.
    const grace = this.prober === 'window-probe' ? WINDOW_GRACE : 0
    return now >= waiter.enoughAt + Math.max(grace, timeoutOf(waiter, sample))
  }

  /** The result if the peer was not heard. Unanswered probes prove nothing on a path that is not known to answer them. */
  silence(waiter: Waiter, sample: Sample, isKernel: boolean, path: PathState): ProbeResult {
    const attempts = isKernel ? this.#byKernel : this.count
    const isEnough = attempts >= waiter.attempts || this.isAtLimit
    const isProof = path === 'answers' || waiter.trustsSilence === true || this.prober === 'retransmission'
    const evidence = isEnough && !isProof ? (`${path}-path` as Evidence) : evidenceOfSilence(this.prober)
    const alive = attempts >= waiter.attempts && isProof ? false : undefined
    return { alive, evidence, attempts, idleFor: silenceOf(sample), path }
  }

  /** The result if the peer acknowledged what the application sent, but no probe. */
  confirmed(sample: Sample, path: PathState): ProbeResult {
    return { alive: true, evidence: 'confirmed', attempts: this.count, idleFor: silenceOf(sample), path }
  }

  answer(sample: Sample, path: PathState): ProbeResult {
    const isOurs = this.prober === 'us'
    // The counters do not show a kernel probe that was acknowledged between two samples, so there was at least one.
    const byKernel = isOurs ? 0 : Math.max(1, this.#byKernel)
    // With more than one attempt, the counters do not show which one was acknowledged.
    const sentAt = isOurs && this.count === 1 ? this.#probedAtTick : undefined
    return {
      alive: true,
      evidence: evidenceOfAnswer(this.prober),
      ...(sentAt !== undefined && { rtt: Math.max(0, Math.round(sample.heardAt - sentAt)) }),
      attempts: Math.max(this.count, byKernel),
      idleFor: silenceOf(sample),
      path,
    }
  }

  aborted(): ProbeResult {
    return { alive: undefined, evidence: 'aborted', attempts: this.count, idleFor: Number.NaN }
  }

  /** @param sample of a connection that is closed or being closed; `undefined` if the connection is gone. */
  closed(sample?: Sample): ProbeResult {
    // If only one side has closed, the peer may still be there.
    const isHalf = sample && sample.state !== TcpState.CLOSE
    return {
      alive: isHalf ? undefined : false,
      evidence: 'closed',
      attempts: this.count,
      idleFor: isHalf ? silenceOf(sample) : Number.NaN,
    }
  }
}
