import type { Hold, Impairment } from './impairment.js'

/**
 * A black hole that ends by itself once it has dropped enough segments.
 *
 * A filter cannot count, so the kernel's count of what the socket has dropped (`SK_MEMINFO_DROPS` of `SO_MEMINFO`,
 * linux/sock_diag.h, Linux 4.12) is looked at every millisecond. Segments that arrive a few milliseconds apart, as
 * keepalive probes and most retransmissions do, are counted exactly. Of a burst, or while the event loop is held up, more
 * may be swallowed before it is noticed, but never fewer: {@link swallowed} says how many it really were.
 *
 * A segment is what the kernel counts as one: what it has put together for its own use (GSO, GRO) counts as many as it is on
 * the wire. Over loopback, whose MTU is 65,536 bytes, that may be tens of kilobytes.
 */
export interface BriefBlackHole extends Impairment {
  /** How many segments it has swallowed, now; as it last saw where the socket has been closed meanwhile. */
  readonly swallowed: number
  /**
   * Resolved once it is over: it has swallowed enough, was restored, or the socket was closed. The socket hears again then,
   * unless something else impairs it.
   *
   * Rejected where the kernel refuses to take the filter away, with what {@link restore} throws. One that nobody waits for is
   * no unhandled rejection, and the looks do not hold the process.
   */
  readonly done: Promise<void>
}

/** The shortest that a timer of Node's can be, in ms. */
const LOOK_EVERY = 1

export function endAfter(segments: number, { release, isOpen, readDrops }: Hold): BriefBlackHole {
  let swallowed = 0
  let over = false
  let resolve!: () => void
  let reject!: (error: unknown) => void
  const done = new Promise<void>((...settle) => {
    ;[resolve, reject] = settle
  })
  done.catch(() => {})

  // Read with the filter in place, so that what was dropped before does not count.
  const before = orRelease(readDrops, release)
  const count = () => {
    if (!over && isOpen()) swallowed = (readDrops() - before) >>> 0
    return swallowed
  }
  const restore = () => {
    if (over) return
    clearInterval(timer)
    try {
      release()
      count()
      resolve()
    } catch (error) {
      reject(error)
      throw error
    } finally {
      over = true
    }
  }
  const look = () => {
    try {
      if (!isOpen() || count() >= segments) restore()
    } catch (error) {
      reject(error)
    }
  }
  const timer = setInterval(look, LOOK_EVERY).unref()

  return {
    get swallowed() {
      return count()
    },
    done,
    restore,
    [Symbol.dispose]: restore,
  }
}

function orRelease<T>(read: () => T, release: () => void): T {
  try {
    return read()
  } catch (error) {
    release()
    throw error
  }
}
