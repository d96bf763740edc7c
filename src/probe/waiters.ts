import type { Look } from '../kernel/liveness.js'
import { LEAST_GAP, timeoutOfPath } from './evidence.js'
import type { ProbeResult } from './result.js'

/** Somebody who waits for an answer. Times in ms. */
export interface Asker {
  readonly attempts: number
  readonly timeout: number
  /** Whether the process may end meanwhile. */
  readonly isPatient?: boolean
  /** When all attempts have had their time, on performance.now(), once that has begun. */
  deadline?: number | undefined
  /** When the kernel was seen to have asked often enough, where it asks. */
  enoughAt?: number | undefined
  /** Told what is known, whatever may have to wait; anew where that is not so any more. */
  learn?(result: ProbeResult): void
  resolve(result: ProbeResult): void
  reject(error: Error): void
}

/** For one attempt, and not under the time that the connection itself gives an answer. */
export function timeoutOf(asker: Asker, look: Look): number {
  return Math.max(asker.timeout, timeoutOfPath(look))
}

/** How long it takes to ask as often as somebody wants. */
export function durationFor(asker: Asker, look: Look): number {
  const timeout = timeoutOf(asker, look)
  return (asker.attempts - 1) * Math.max(LEAST_GAP, timeout) + timeout
}

/** Those who wait for what one peer says, each told once. Mostly that is one, who is told at once. */
export class Audience {
  #asking: Asker[] = []
  #withheld: Map<Asker, ProbeResult> | undefined

  /** Those who have not been answered. */
  get asking(): readonly Asker[] {
    return this.#asking
  }

  get isEmpty(): boolean {
    return this.#asking.length === 0 && this.#withheld === undefined
  }

  /** Whether somebody waits for whom the process is to go on. */
  get holdsProcess(): boolean {
    return this.#withheld !== undefined || this.#asking.some(({ isPatient }) => !isPatient)
  }

  join(asker: Asker): void {
    this.#asking.push(asker)
  }

  /** Told later what is known now; see {@link release}. */
  withhold(asker: Asker, result: ProbeResult): void {
    this.#leave(asker)
    this.#withheld ??= new Map()
    this.#withheld.set(asker, result)
    asker.learn?.(result)
  }

  tell(asker: Asker, result: ProbeResult): void {
    this.#leave(asker)
    asker.learn?.(result)
    asker.resolve(result)
  }

  /** Told what is known, or else this. Returns false for one who has been told already. */
  dismiss(asker: Asker, otherwise: ProbeResult): boolean {
    const known = this.#withheld?.get(asker)
    if (!this.#asking.includes(asker) && !known) return false
    this.#withheld?.delete(asker)
    if (this.#withheld?.size === 0) this.#withheld = undefined
    if (known) asker.resolve(known)
    else this.tell(asker, otherwise)
    return true
  }

  /** Tells everybody what was withheld. */
  release(): void {
    for (const [asker, result] of this.#withheld ?? []) asker.resolve(result)
    this.#withheld = undefined
  }

  /** What was withheld is not so any more: the peer has been heard after all. */
  recall(): void {
    if (this.#withheld) this.#asking = [...this.#asking, ...this.#withheld.keys()]
    this.#withheld = undefined
  }

  fail(error: Error): void {
    for (const asker of [...this.#asking, ...(this.#withheld?.keys() ?? [])]) asker.reject(error)
    this.#asking = []
    this.#withheld = undefined
  }

  /** A new list, so that whoever goes through it may tell some of them. */
  #leave(asker: Asker): void {
    this.#asking = this.#asking.filter((other) => other !== asker)
  }
}
