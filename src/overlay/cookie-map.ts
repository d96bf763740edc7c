/** An item of a {@link CookieMap}. */
export interface Keyed<Item> {
  readonly cookie: bigint
  /** The next item in the same bucket. Only the map reads and writes it. */
  nextInBucket: Item | undefined
}

const LEAST = 64

/**
 * A map by SO_COOKIE, for items that come and go thousands of times a second. V8's Map sometimes moves to a new table, and the old table
 * keeps all its former items reachable until the next full garbage collection. Then an item that lives for milliseconds costs as much as a
 * long-lived one.
 */
export class CookieMap<Item extends Keyed<Item>> {
  #buckets = new Array<Item | undefined>(LEAST).fill(undefined)
  #size = 0

  get size(): number {
    return this.#size
  }

  get(cookie: bigint): Item | undefined {
    if (this.#size === 0) return undefined
    let item = this.#buckets[this.#bucketOf(cookie)]
    while (item && item.cookie !== cookie) item = item.nextInBucket
    return item
  }

  /** Adds an item whose cookie is not there yet. */
  add(item: Item): void {
    if (this.#size >= this.#buckets.length) this.#resize(2 * this.#buckets.length)
    this.#put(item)
    this.#size++
  }

  /** Does nothing if the item is not there. */
  delete(item: Item): void {
    const bucket = this.#bucketOf(item.cookie)
    const next = item.nextInBucket
    let other = this.#buckets[bucket]
    if (other === item) this.#buckets[bucket] = next
    else {
      while (other && other.nextInBucket !== item) other = other.nextInBucket
      if (!other) return
      other.nextInBucket = next
    }
    // Otherwise a removed item would keep the rest of its bucket from being collected.
    item.nextInBucket = undefined
    this.#size--
    if (this.#size === 0 && this.#buckets.length > LEAST) this.#resize(LEAST)
  }

  /** Calls a function with each item. The callback must neither add nor delete items. */
  forEach(callback: (item: Item) => void): void {
    for (let item of this.#buckets) {
      for (; item; item = item.nextInBucket) callback(item)
    }
  }

  #bucketOf(cookie: bigint): number {
    // The kernel counts cookies from 1, so they are far below 2^53.
    return Number(cookie) % this.#buckets.length
  }

  #put(item: Item): void {
    const bucket = this.#bucketOf(item.cookie)
    item.nextInBucket = this.#buckets[bucket]
    this.#buckets[bucket] = item
  }

  #resize(length: number): void {
    const before = this.#buckets
    this.#buckets = new Array<Item | undefined>(length).fill(undefined)
    for (let item of before) {
      while (item) {
        const next: Item | undefined = item.nextInBucket
        this.#put(item)
        item = next
      }
    }
  }
}
