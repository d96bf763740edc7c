import type { InspectOptions, inspect } from 'node:util'

/**
 * What has become of connections and of requests. Only `failedRequests` are faults; the rest is normal for connections.
 *
 * `opened` equals the sum of `open` and the four ways to end. Each request is at most one of `staleReuses` and `failedRequests`.
 */
export interface ConnectionStatistics {
  /** Connections that were established; with TLS, that have shaken hands. */
  readonly opened: number
  /** Those there are now. */
  readonly open: number
  /** Ended by the other side: its FIN came first, or its answer said `Connection: close`. */
  readonly closedByPeer: number
  /** Ended by this side: idle for too long, too old, used often enough, or the request was aborted. */
  readonly closedByUs: number
  /** Ended by a reset. */
  readonly reset: number
  /** Given up, by the kernel or a heartbeat: the peer is gone, or there is no way to it. */
  readonly timedOut: number
  /** Never established: refused, no such name, no answer, no TLS, or aborted before. Not in `opened`. */
  readonly failedToOpen: number
  /** Requests that were made, including those that wait for a connection. */
  readonly requests: number
  /** Requests that went out on a connection that had served one before. */
  readonly reusedRequests: number
  /** `reusedRequests` divided by `requests`: 0 … 1; 0 without requests. */
  readonly reuseRatio: number
  /** Idle connections that were found gone or unresponsive before a request was sent on them. */
  readonly staleReusesAvoided: number
  /** Requests that failed because their connection was already gone. See {@link isStaleReuse}. */
  readonly staleReuses: number
  /**
   * Requests that were sent again because their connection was already gone: by {@link retryStale}, or by `createAgent({ retryStale: true })`
   * of `deadpeer/undici`.
   */
  readonly retried: number
  /** Other requests that ended without a complete answer, for any reason, also because the program aborted them. */
  readonly failedRequests: number
}

/** The counts at one moment. */
export interface Snapshot {
  /** Of all origins together. */
  readonly total: ConnectionStatistics
  /**
   * By origin: `https://example.com:443`, `http://[::1]:80`, `unix:/run/app.sock`; through a proxy the origin of the request. Of more than 1,000 origins,
   * the least recently used without open connections are dropped; `total` still includes them.
   */
  readonly origins: Readonly<Record<string, ConnectionStatistics>>
}

/** The ways in which a connection that was open can end. */
const endings = ['closedByPeer', 'closedByUs', 'reset', 'timedOut'] as const
export type Ending = (typeof endings)[number]

export type Counted = Exclude<keyof ConnectionStatistics, 'open' | 'reuseRatio'>
type Counts = Record<Counted, number>

function noCounts(): Counts {
  return {
    opened: 0,
    closedByPeer: 0,
    closedByUs: 0,
    reset: 0,
    timedOut: 0,
    failedToOpen: 0,
    requests: 0,
    reusedRequests: 0,
    staleReusesAvoided: 0,
    staleReuses: 0,
    retried: 0,
    failedRequests: 0,
  }
}

/** An agent, for `console.log`: the whole of it would be hundreds of lines. */
export function printCounts(
  agent: { snapshot(): Snapshot },
  name: string,
  options: InspectOptions,
  print: typeof inspect,
): string {
  const { total, origins } = agent.snapshot()
  return `${name} ${print({ origins: Object.keys(origins).length, ...total }, options)}`
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
  /** Least recently used first. */
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
