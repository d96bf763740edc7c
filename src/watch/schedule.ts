import { SLOT } from '../detect/pulse.js'

/** How many at a time, and for how long at a turn of the event loop, ms. */
const PORTION = 64
const BUDGET = 1

/** The longest that a timer of Node's can be, ms. */
const LONGEST_WAIT = 2 ** 31 - 1

/** What can be due. */
export interface Scheduled {
  /** When, in slots; 0: not at all. The schedule's own. */
  slot: number
}

/** Items that are due at some time, on one timer that does not hold the process open. Times are on performance.now(). */
export class Schedule<Item extends Scheduled> {
  readonly #run: (items: readonly Item[]) => void
  readonly #slots = new Map<number, Set<Item>>()
  #due: Item[] = []
  #timer: NodeJS.Timeout | undefined
  #next = Number.POSITIVE_INFINITY
  #isWorking = false

  constructor(run: (items: readonly Item[]) => void) {
    this.#run = run
  }

  /** Due at that time, instead of when it was. Not before, and up to a slot later. */
  at(item: Item, time: number): void {
    this.cancel(item)
    if (time === Number.POSITIVE_INFINITY) return
    const slot = Math.max(1, Math.ceil(time / SLOT))
    const items = this.#slots.get(slot)
    if (items) items.add(item)
    else this.#slots.set(slot, new Set([item]))
    item.slot = slot
    if (slot < this.#next) this.#wakeAt(slot)
  }

  cancel(item: Item): void {
    if (item.slot === 0) return
    const items = this.#slots.get(item.slot)!
    items.delete(item)
    if (items.size === 0) this.#slots.delete(item.slot)
    item.slot = 0
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
    for (const [slot, items] of this.#slots) {
      if (slot > now) continue
      for (const item of items) {
        item.slot = 0
        this.#due.push(item)
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
