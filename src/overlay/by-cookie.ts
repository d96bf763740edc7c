/** What is kept by the cookie of its connection. */
export interface Kept<Item> {
  readonly cookie: bigint
  /** Another one of the same bucket. The map's own. */
  nextKept: Item | undefined
}

const LEAST = 64

/**
 * A map of what comes and goes a thousand times a second. V8's Map makes itself a new table now and then, and the one before keeps all that was
 * ever in it until the next full collection: then what lives for milliseconds costs as much as what lives for long.
 */
export class ByCookie<Item extends Kept<Item>> {
  #buckets = new Array<Item | undefined>(LEAST).fill(undefined)
  #size = 0

  get size(): number {
    return this.#size
  }

  get(cookie: bigint): Item | undefined {
    if (this.#size === 0) return undefined
    let item = this.#buckets[this.#bucketOf(cookie)]
    while (item && item.cookie !== cookie) item = item.nextKept
    return item
  }

  /** One that is not there yet. */
  add(item: Item): void {
    if (this.#size >= this.#buckets.length) this.#resize(2 * this.#buckets.length)
    this.#put(item)
    this.#size++
  }

  /** Nothing, where it is not there. */
  delete(item: Item): void {
    const bucket = this.#bucketOf(item.cookie)
    const next = item.nextKept
    let other = this.#buckets[bucket]
    if (other === item) this.#buckets[bucket] = next
    else {
      while (other && other.nextKept !== item) other = other.nextKept
      if (!other) return
      other.nextKept = next
    }
    // Else it would keep what comes after it from being collected.
    item.nextKept = undefined
    this.#size--
    if (this.#size === 0 && this.#buckets.length > LEAST) this.#resize(LEAST)
  }

  /** Of each. None may come or go meanwhile. */
  forEach(see: (item: Item) => void): void {
    for (let item of this.#buckets) {
      for (; item; item = item.nextKept) see(item)
    }
  }

  #bucketOf(cookie: bigint): number {
    // The kernel counts them, so far from where a number would not do.
    return Number(cookie) % this.#buckets.length
  }

  #put(item: Item): void {
    const bucket = this.#bucketOf(item.cookie)
    item.nextKept = this.#buckets[bucket]
    this.#buckets[bucket] = item
  }

  #resize(length: number): void {
    const before = this.#buckets
    this.#buckets = new Array<Item | undefined>(length).fill(undefined)
    for (let item of before) {
      while (item) {
        const next: Item | undefined = item.nextKept
        this.#put(item)
        item = next
      }
    }
  }
}
