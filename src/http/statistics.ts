import type { InspectOptions, inspect } from 'node:util'
import { IdleLimit } from './idle-limit.js'

/**
 * Counts of connections and requests. Only `failedRequests` counts faults; all other endings are normal.
 *
 * `opened` equals `open` plus the four endings `closedByPeer`, `closedByUs`, `reset` and `timedOut`. A request counts as `staleReuses` or
 * `failedRequests`, never as both.
 */
export interface ConnectionStatistics {
  /** Connections that were established; with TLS, including the handshake. */
  readonly opened: number
  /** Connections that are open now. */
  readonly open: number
  /** Connections that the peer closed: its FIN came first, or its response had `Connection: close`. */
  readonly closedByPeer: number
  /** Connections that this side closed: idle for too long, too old, at the limit of requests, or the request was aborted. */
  readonly closedByUs: number
  /** Connections that ended by a reset. */
  readonly reset: number
  /** Connections that the kernel or a heartbeat ended: the peer is gone or unreachable. */
  readonly timedOut: number
  /** Connections that were never established: refused, unknown host name, timeout, failed TLS handshake, or aborted. Not in `opened`. */
  readonly failedToOpen: number
  /** Requests, including those that wait for a connection. */
  readonly requests: number
  /** Requests that were sent on a connection that had a request before. */
  readonly reusedRequests: number
  /** `reusedRequests` divided by `requests`: 0 … 1. 0 if there were no requests. */
  readonly reuseRatio: number
  /** Idle connections that the agent found gone or unresponsive before it sent a request on them. */
  readonly staleReusesAvoided: number
  /** Requests that failed because their connection was already gone. See {@link isStaleReuse}. */
  readonly staleReuses: number
  /**
   * Requests that were repeated because their connection was already gone: by {@link retryStale}, or by `createAgent({ retryStale: true })`
   * of `deadpeer/undici`.
   */
  readonly retried: number
  /** Other requests that ended without a complete response, for any reason. Includes requests that the program aborted. */
  readonly failedRequests: number
}

/** The counts of one origin. */
export interface OriginStatistics extends ConnectionStatistics {
  /**
   * How long the server keeps an idle connection, in ms: learned from the ages at which it closed connections, and at most what it announces.
   * Left out if it is not known, and with `learn: false`.
   */
  readonly idleLimit?: number
}

/** The counts at one moment. */
export interface Snapshot {
  /** The sum over all origins. */
  readonly total: ConnectionStatistics
  /**
   * By origin: `https://example.com:443`, `http://[::1]:80`, `unix:/run/app.sock`. Through a proxy: the origin of the request. At most about
   * 1,000: above that, the least recently used origins without open connections are dropped. `total` still includes them.
   */
  readonly origins: Readonly<Record<string, OriginStatistics>>
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

/** The text of an agent for `console.log`. All of its fields would be hundreds of lines. */
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
  return { ...counts, open: openOf(counts), reuseRatio }
}

/** What is known about one origin. */
interface Origin {
  readonly counts: Counts
  readonly idleLimit: IdleLimit
}

function originStatisticsOf({ counts, idleLimit }: Origin, now: number): OriginStatistics {
  const limit = idleLimit.limit(now)
  return Object.freeze({ ...statisticsOf(counts), ...(limit !== undefined && { idleLimit: limit }) })
}

const MOST_ORIGINS = 1_000

/** Counts and idle limits per origin, and counts in total. */
export class Statistics {
  readonly #total = noCounts()
  /** The least recently used origins come first. */
  readonly #origins = new Map<string, Origin>()

  count(name: string, counted: Counted): void {
    this.#total[counted]++
    const origin = this.#origins.get(name) ?? this.#begin(name)
    origin.counts[counted]++
    if (counted !== 'requests') return
    this.#origins.delete(name)
    this.#origins.set(name, origin)
  }

  /** `undefined` for an origin without counts. */
  idleLimit(name: string): IdleLimit | undefined {
    return this.#origins.get(name)?.idleLimit
  }

  snapshot(): Snapshot {
    const now = performance.now()
    const origins = [...this.#origins].map(([name, origin]) => [name, originStatisticsOf(origin, now)])
    return Object.freeze({
      total: Object.freeze(statisticsOf(this.#total)),
      origins: Object.freeze(Object.fromEntries(origins)),
    })
  }

  #begin(name: string): Origin {
    const origin = { counts: noCounts(), idleLimit: new IdleLimit() }
    this.#origins.set(name, origin)
    if (this.#origins.size > MOST_ORIGINS) this.#dropOne()
    return origin
  }

  #dropOne(): void {
    for (const [name, { counts }] of this.#origins) {
      if (openOf(counts) > 0) continue
      this.#origins.delete(name)
      return
    }
  }
}
