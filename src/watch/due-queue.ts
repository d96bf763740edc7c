import { SLOT } from './heartbeat-state.js'

/** How many at a time, and for how long at a turn of the event loop, ms. */
const PORTION = 64
const BUDGET = 1

/** The longest that a timer of Node's can be, ms. */
const LONGEST_WAIT = 2 ** 31 - 1

/** What can be due. Its place is in the item itself, so that thousands a second can be moved and nothing is left to be collected. */
export interface Queued<Item> {
  /** When, in slots; 0: not at all. The schedule's own, as are those that are due in the same. */
  slot: number
  before: Item | undefined
  after: Item | undefined
}

/** Items that are due at some time, on one timer that does not hold the process open. Times are on performance.now(). */
export class DueQueue<Item extends Queued<Item>> {
  readonly #run: (items: readonly Item[]) => void
  /** The first of those that are due in each. */
  readonly #slots = new Map<number, Item>()
  #due: Item[] = []
  #timer: NodeJS.Timeout | undefined
  #next = Number.POSITIVE_INFINITY
  #isWorking = false

  constructor(run: (items: readonly Item[]) => void) {
    this.#run = run
  }

  /** Due at that time, instead of when it was. Not before, and up to a slot later; or up to `width`, a multiple of that. */
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

  /** The event loop is left to others now and then. */
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
