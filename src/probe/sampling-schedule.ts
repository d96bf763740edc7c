/** Between samples, ms: a tick until the probe has left, then twice as long each time. */
const FIRST_WAIT = 5

/** When to sample a connection that is being probed. */
export class SamplingSchedule {
  /** On performance.now(). */
  due = 0
  #wait = FIRST_WAIT

  /** Samples at the next tick, and less often from then on. */
  restart(): void {
    this.#wait = FIRST_WAIT
  }

  /** @param longest the longest wait, ms. `soonest`: samples then at the latest. */
  next(now: number, longest: number, soonest: number): void {
    this.due = Math.min(now + this.#wait, soonest)
    this.#wait = Math.min(longest, this.#wait * 2)
  }
}
