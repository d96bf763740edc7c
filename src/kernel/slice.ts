import { setImmediate as nextTurn } from 'node:timers/promises'

/** How long work that goes through thousands of something holds the event loop at a time, in ms. */
const SLICE = 2

/** Lets others run once this has taken long enough. */
export class Slice {
  #end = performance.now() + SLICE

  /** Where a step takes less than a promise does: whether it is time for {@link next}. */
  get isOver(): boolean {
    return performance.now() >= this.#end
  }

  async next(): Promise<void> {
    if (!this.isOver) return
    await nextTurn()
    this.#end = performance.now() + SLICE
  }
}
