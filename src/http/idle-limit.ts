/** Closings whose ages differ by at most this share have the same cause. */
const SPREAD = 0.05

/** The number of moments that must agree, and of how many. Closings at random ages agree this often in fewer than 1 of 100 cases. */
const MOMENTS_NEEDED = 4
const MOMENTS_KEPT = 6

/** Closings within this time of each other count as one moment, ms. A server that stops closes all of its connections within this time. */
const MOMENT = 250

/** A shorter limit is not learned, ms: the time that this process takes to notice a close would distort it. */
const SHORTEST_LIMIT = 100

/** What is older than this is forgotten, ms. */
const FORGOTTEN_AFTER = 3_600_000

/** Longest margin before the limit, ms, without the time for the request to arrive. */
const LONGEST_MARGIN = 1_000

/** The closings of one moment: when it began, and the ages of the connections. */
interface Moment {
  readonly at: number
  youngest: number
  oldest: number
}

/**
 * Learns how long the server of one origin keeps idle connections, from the ages at which it closed them.
 *
 * Ages teach only if 4 of the last 6 moments agree within 5 %. Closings at one moment count once. If their ages differ, they do not count: a
 * deploy or restart closes all connections at once, whatever their age.
 *
 * All times are in ms. `now` is a monotonic clock.
 */
export class IdleLimit {
  #moments: Moment[] = []
  #learned: { readonly limit: number; readonly at: number } | undefined
  #announced = Number.POSITIVE_INFINITY

  /** The server has announced how long it keeps an idle connection: `Keep-Alive: timeout=`. */
  announced(timeout: number): void {
    this.#announced = timeout
  }

  /** The server has closed a connection that was idle for `age`. */
  closed(age: number, now: number): void {
    if (!(age >= 0)) return
    this.#moments = this.#moments.filter(({ at }) => now - at < FORGOTTEN_AFTER)
    const last = this.#moments.at(-1)
    if (last && now - last.at < Math.max(MOMENT, age * SPREAD)) {
      last.youngest = Math.min(last.youngest, age)
      last.oldest = Math.max(last.oldest, age)
    } else {
      this.#moments.push({ at: now, youngest: age, oldest: age })
      if (this.#moments.length > MOMENTS_KEPT) this.#moments.shift()
    }
    this.#learn(now)
  }

  /** The learned limit, at most the announced one. `undefined` if none is known. */
  limit(now: number): number | undefined {
    if (!this.#learned || now - this.#learned.at >= FORGOTTEN_AFTER) return undefined
    return Math.min(this.#learned.limit, this.#announced)
  }

  /**
   * The age from which a connection must not be reused: the limit less 5 %, at most less 1 s, and less twice the shortest round-trip time. `Infinity` if no
   * limit is known.
   */
  reusableUntil(minRtt: number, now: number): number {
    const limit = this.limit(now)
    if (limit === undefined) return Number.POSITIVE_INFINITY
    return limit - Math.min(limit * SPREAD, LONGEST_MARGIN) - 2 * minRtt
  }

  #learn(now: number): void {
    const found = lowestCluster(this.#moments)
    if (found === undefined) return
    const known = this.limit(now) === undefined ? undefined : this.#learned?.limit
    if (known === undefined || found <= known || this.#isRaised(known))
      this.#learned = { limit: found, at: now }
    else if (agree(known, found)) this.#learned = { limit: known, at: now }
  }

  /** Whether the server has kept every connection of the last moments for longer than the known limit. */
  #isRaised(known: number): boolean {
    return this.#moments.every(({ youngest }) => youngest > known && !agree(known, youngest))
  }
}

/** The lowest age of the lowest cluster. */
function lowestCluster(moments: readonly Moment[]): number | undefined {
  const ages = moments
    .filter(({ youngest, oldest }) => youngest >= SHORTEST_LIMIT && agree(youngest, oldest))
    .map(({ youngest }) => youngest)
    .sort((a, b) => a - b)
  return ages.find((age, i) => agree(age, ages[i + MOMENTS_NEEDED - 1] ?? Number.POSITIVE_INFINITY))
}

function agree(lower: number, higher: number): boolean {
  return higher <= lower * (1 + SPREAD)
}
