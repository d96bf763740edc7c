import { setImmediate as nextTurn } from 'node:timers/promises'

/** How long a loop over thousands of items may block the event loop at a time, ms. */
const SLICE = 2

/** Yields to the event loop each time a loop has run for {@link SLICE}. */
export class Slice {
  #end = performance.now() + SLICE

  /** Whether it is time for {@link next}. For loops whose steps cost less than a promise. */
  get isOver(): boolean {
    return performance.now() >= this.#end
  }

  async next(): Promise<void> {
    if (!this.isOver) return
    await nextTurn()
    this.#end = performance.now() + SLICE
  }
}
