import type { Sample } from '../kernel/liveness.js'
import { isUnderWay } from '../overlay/plan.js'
import { LEAST_GAP, timeoutOfPath } from './evidence.js'
import type { ProbeResult } from './result.js'

/** A caller that waits for the result of a probe. Times in ms. */
export interface Waiter {
  readonly attempts: number
  readonly timeout: number
  /** Whether the process may end while it waits. */
  readonly unref?: boolean
  /** When the time for all attempts is over, on performance.now(); undefined until it has begun. */
  deadline?: number | undefined
  /** When a sample first showed that the kernel has sent at least `attempts` probes. */
  enoughAt?: number | undefined
  /** Whether silence on a path that is not known to answer probes means that the peer is gone. */
  readonly trustsSilence?: boolean
  /** Sends something of the application's protocol. Called once, before silence becomes a result. */
  readonly confirm?: () => void
  /** Set when `confirm` was called: by when its data must be under way, on performance.now(). */
  confirmBy?: number | undefined
  /** Called with the result so far, before anything that delays `resolve`; called again if the result changes. */
  learn?(result: ProbeResult): void
  resolve(result: ProbeResult): void
  reject(error: Error): void
}

/** The timeout of one attempt, at least the path's own retransmission timeout. */
export function timeoutOf(waiter: Waiter, sample: Sample): number {
  return Math.max(waiter.timeout, timeoutOfPath(sample))
}

/** By when data that the application sends for `confirm` must be under way, ms. */
const LONGEST_CONFIRM = 1_000

/** Has the application send something, once. Returns whether to wait for it, before silence becomes the result of a waiter. */
export function awaitConfirmation(waiter: Waiter, sample: Sample, now: number): boolean {
  // Data in flight decides by its retransmissions.
  if (!waiter.confirm || isUnderWay(sample)) return false
  if (waiter.confirmBy === undefined) {
    waiter.confirmBy = now + LONGEST_CONFIRM
    waiter.deadline = waiter.confirmBy + timeoutOfPath(sample) * 2 ** (waiter.attempts + 2)
    queueMicrotask(waiter.confirm)
  }
  return now < waiter.confirmBy
}

/** How long all attempts of a waiter take. */
function durationFor(waiter: Waiter, sample: Sample): number {
  const timeout = timeoutOf(waiter, sample)
  return (waiter.attempts - 1) * Math.max(LEAST_GAP, timeout) + timeout
}

/** The waiters of one session. Each gets one result. */
export class Waiters {
  #waiting: Waiter[] = []
  #withheld: Map<Waiter, ProbeResult> | undefined

  /** Waiters without a result. */
  get waiting(): readonly Waiter[] {
    return this.#waiting
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#withheld === undefined
  }

  /** Whether the application was asked to send something. */
  get isConfirming(): boolean {
    return this.#waiting.some(({ confirmBy }) => confirmBy !== undefined)
  }

  /** Whether a waiter holds the process open. */
  get holdsProcess(): boolean {
    return this.#withheld !== undefined || this.#waiting.some(({ unref }) => !unref)
  }

  join(waiter: Waiter): void {
    this.#waiting.push(waiter)
  }

  /** Sets a deadline for each waiter that has none, including those that joined since the last sample. */
  setDeadlines(sample: Sample, now: number, kernelProbesBy: number): void {
    for (const waiter of this.#waiting) {
      waiter.deadline ??= Math.max(
        now + durationFor(waiter, sample),
        kernelProbesBy + timeoutOf(waiter, sample),
      )
    }
  }

  forgetDeadlines(): void {
    for (const waiter of this.#waiting) waiter.deadline = undefined
  }

  /** When the next attempt is due for waiters that want more than `attempts`; Infinity if there are none. */
  nextAttempt(attempts: number, probedAt: number, sample: Sample): number {
    let longest = LEAST_GAP
    let isWanted = false
    for (const waiter of this.#waiting) {
      if (waiter.attempts <= attempts) continue
      isWanted = true
      longest = Math.max(longest, timeoutOf(waiter, sample))
    }
    return isWanted ? probedAt + longest : Number.POSITIVE_INFINITY
  }

  /** When the first timeout of the present attempt ends, after `now`; Infinity if none does. */
  nextTimeout(probedAt: number, sample: Sample, now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const waiter of this.#waiting) {
      const over = probedAt + timeoutOf(waiter, sample)
      if (over > now) next = Math.min(next, over)
    }
    return next
  }

  /** Keeps a waiter's result back until {@link release}. */
  withhold(waiter: Waiter, result: ProbeResult): void {
    this.#leave(waiter)
    this.#withheld ??= new Map()
    this.#withheld.set(waiter, result)
    waiter.learn?.(result)
  }

  tell(waiter: Waiter, result: ProbeResult): void {
    this.#leave(waiter)
    waiter.learn?.(result)
    waiter.resolve(result)
  }

  /** Gives a waiter the result that was kept back for it, or else `otherwise`. Returns false for a waiter that has a result already. */
  dismiss(waiter: Waiter, otherwise: ProbeResult): boolean {
    const known = this.#withheld?.get(waiter)
    if (!this.#waiting.includes(waiter) && !known) return false
    this.#withheld?.delete(waiter)
    if (this.#withheld?.size === 0) this.#withheld = undefined
    if (known) waiter.resolve(known)
    else this.tell(waiter, otherwise)
    return true
  }

  /** Gives waiters the results that were kept back. */
  release(): void {
    for (const [waiter, result] of this.#withheld ?? []) waiter.resolve(result)
    this.#withheld = undefined
  }

  /** Drops the results that were kept back, because the peer was heard. Their waiters wait again. */
  recall(): void {
    if (this.#withheld) this.#waiting = [...this.#waiting, ...this.#withheld.keys()]
    this.#withheld = undefined
  }

  fail(error: Error): void {
    for (const waiter of [...this.#waiting, ...(this.#withheld?.keys() ?? [])]) waiter.reject(error)
    this.#waiting = []
    this.#withheld = undefined
  }

  /** Makes a new list, because a caller may be iterating over the old one. */
  #leave(waiter: Waiter): void {
    this.#waiting = this.#waiting.filter((other) => other !== waiter)
  }
}
