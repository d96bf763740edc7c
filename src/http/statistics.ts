/**
 * What has become of connections and of requests, counted apart: of all this only `failedRequests` is a fault. The others are
 * what happens to connections.
 *
 * `opened` equals `open` and the four ways to end together. Each request is at most one of `staleReuses` and `failedRequests`.
 */
export interface ConnectionStatistics {
  /** Connections that were established; with TLS, that have shaken hands. */
  readonly opened: number
  /** Those there are now. */
  readonly open: number
  /** Ended by the other side: its FIN came first, or its answer said `Connection: close`. */
  readonly closedByPeer: number
  /** Ended by this side: idle for too long, too old, used often enough, or the request was called off. */
  readonly closedByUs: number
  /** Ended by a reset. */
  readonly reset: number
  /** Given up, by the kernel or a heartbeat: the peer is gone, or there is no way to it. */
  readonly timedOut: number
  /** Never established: refused, no such name, no answer, no TLS, or called off before. Not in `opened`. */
  readonly failedToOpen: number
  /** Requests that were made, also of those that wait for a connection. */
  readonly requests: number
  /** Requests that went out on a connection that had served one before. */
  readonly reusedRequests: number
  /** `reusedRequests` of `requests`: 0 … 1; 0 where there are none. */
  readonly reuseRatio: number
  /** Idle connections that were found gone, or silent, before a request was sent on them. */
  readonly staleReusesAvoided: number
  /** Requests that failed because their connection was already gone. See {@link isStaleReuse}. */
  readonly staleReuses: number
  /**
   * Requests that were sent again because their connection was already gone: by {@link retryStale}, or by `createAgent({ retryStale: true })`
   * of `deadpeer/undici`.
   */
  readonly retried: number
  /** Other requests that ended without a whole answer, for whatever reason, also where the program called them off. */
  readonly failedRequests: number
}

/** The counts at one moment. */
export interface Snapshot {
  /** Of all origins together. */
  readonly total: ConnectionStatistics
  /**
   * By origin: `https://example.com:443`, `http://[::1]:80`, `unix:/run/app.sock`; through a proxy by the origin that requests are for. Of more than 1,000 those that were used longest ago and have
   * nothing open are forgotten; `total` has them still.
   */
  readonly origins: Readonly<Record<string, ConnectionStatistics>>
}

const counted = [
  'opened',
  'closedByPeer',
  'closedByUs',
  'reset',
  'timedOut',
  'failedToOpen',
  'requests',
  'reusedRequests',
  'staleReusesAvoided',
  'staleReuses',
  'retried',
  'failedRequests',
] as const

export type Counted = (typeof counted)[number]

/** How a connection that was open has ended. */
export type Ending = 'closedByPeer' | 'closedByUs' | 'reset' | 'timedOut'

export const endings: readonly Ending[] = ['closedByPeer', 'closedByUs', 'reset', 'timedOut']

export type Counts = Record<Counted, number>

function noCounts(): Counts {
  return Object.fromEntries(counted.map((name) => [name, 0])) as Counts
}

function openOf(counts: Counts): number {
  return endings.reduce((left, ending) => left - counts[ending], counts.opened)
}

function statisticsOf(counts: Counts): ConnectionStatistics {
  const reuseRatio = counts.requests === 0 ? 0 : counts.reusedRequests / counts.requests
  return Object.freeze({ ...counts, open: openOf(counts), reuseRatio })
}

const MOST_ORIGINS = 1_000

/** Counts for each origin and in total. */
export class Statistics {
  readonly #total = noCounts()
  /** The one that was used longest ago first. */
  readonly #origins = new Map<string, Counts>()

  count(origin: string, name: Counted): void {
    this.#total[name]++
    const counts = this.#origins.get(origin) ?? this.#begin(origin)
    counts[name]++
    if (name !== 'requests') return
    this.#origins.delete(origin)
    this.#origins.set(origin, counts)
  }

  snapshot(): Snapshot {
    const origins = [...this.#origins].map(([origin, counts]) => [origin, statisticsOf(counts)])
    return Object.freeze({
      total: statisticsOf(this.#total),
      origins: Object.freeze(Object.fromEntries(origins)),
    })
  }

  #begin(origin: string): Counts {
    const counts = noCounts()
    this.#origins.set(origin, counts)
    if (this.#origins.size > MOST_ORIGINS) this.#forgetOne()
    return counts
  }

  #forgetOne(): void {
    for (const [origin, counts] of this.#origins) {
      if (openOf(counts) > 0) continue
      this.#origins.delete(origin)
      return
    }
  }
}
