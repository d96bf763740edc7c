import { SLOT } from './heartbeat-state.js'

/** PORTION: items in one call. BUDGET: how long one turn of the event loop may take, ms. */
const PORTION = 64
const BUDGET = 1

/** The longest timer of Node, ms. */
const LONGEST_WAIT = 2 ** 31 - 1

/** An item of the queue. The links are in the item itself, so that moving thousands of items a second makes no garbage. */
export interface Queued<Item> {
  /** The slot in which it is due; 0: none. `before` and `after` are items due in the same slot. Only the queue writes these fields. */
  slot: number
  before: Item | undefined
  after: Item | undefined
}

/** Calls a function with items when they are due. One timer serves all items, and it does not hold the process open. Times are on
 * performance.now(). */
export class DueQueue<Item extends Queued<Item>> {
  readonly #run: (items: readonly Item[]) => void
  /** The first item of each slot. */
  readonly #slots = new Map<number, Item>()
  #due: Item[] = []
  #timer: NodeJS.Timeout | undefined
  #next = Number.POSITIVE_INFINITY
  #isWorking = false

  constructor(run: (items: readonly Item[]) => void) {
    this.#run = run
  }

  /** Sets the time at which an item is due. It runs at most `width` later, a multiple of {@link SLOT}, and never sooner. */
  at(item: Item, time: number, width = SLOT): void {
    this.cancel(item)
    if (time === Number.POSITIVE_INFINITY) return
    const slot = Math.max(1, Math.ceil(time / width) * (width / SLOT))
    const first = this.#slots.get(slot)
    if (first) first.before = item
    item.after = first
    item.slot = slot
    this.#slots.set(slot, item)
    if (slot < this.#next) this.#wakeAt(slot)
  }

  cancel(item: Item): void {
    const { slot, before, after } = item
    if (slot === 0) return
    if (after) after.before = before
    if (before) before.after = after
    else if (after) this.#slots.set(slot, after)
    else this.#slots.delete(slot)
    forget(item)
  }

  #wakeAt(slot: number): void {
    clearTimeout(this.#timer)
    this.#next = slot
    const wait = Math.min(LONGEST_WAIT, Math.max(1, slot * SLOT - performance.now()))
    this.#timer = setTimeout(() => this.#collect(), wait)
    this.#timer.unref()
  }

  #collect(): void {
    const now = performance.now() / SLOT
    for (const [slot, first] of this.#slots) {
      if (slot > now) continue
      for (let item: Item | undefined = first; item; ) {
        const { after }: Item = item
        forget(item)
        this.#due.push(item)
        item = after
      }
      this.#slots.delete(slot)
    }
    this.#next = Number.POSITIVE_INFINITY
    if (!this.#isWorking) this.#work()
  }

  /** Runs the due items, and yields to the event loop after each BUDGET. */
  #work(): void {
    const start = performance.now()
    let done = 0
    while (done < this.#due.length && performance.now() - start < BUDGET) {
      this.#run(this.#due.slice(done, done + PORTION))
      done += PORTION
    }
    this.#due = this.#due.slice(done)
    this.#isWorking = this.#due.length > 0
    if (this.#isWorking) setImmediate(() => this.#work())
    else this.#sleep()
  }

  #sleep(): void {
    let next = Number.POSITIVE_INFINITY
    for (const slot of this.#slots.keys()) next = Math.min(next, slot)
    if (next < this.#next) this.#wakeAt(next)
  }
}

function forget<Item>(item: Queued<Item>): void {
  item.slot = 0
  item.before = undefined
  item.after = undefined
}
