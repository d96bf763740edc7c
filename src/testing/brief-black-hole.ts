import type { AttachedFilter, Impairment } from './impairment.js'

/**
 * A black hole that ends by itself after it has dropped a number of segments.
 *
 * A filter cannot count. So the kernel's count of the socket's dropped segments is read every millisecond: `SK_MEMINFO_DROPS` of `SO_MEMINFO`,
 * linux/sock_diag.h, Linux 4.12. Segments that arrive a few milliseconds apart are counted exactly, such as keepalive probes and most
 * retransmissions. In a burst, or while the event loop is blocked, it may drop more, but never fewer: {@link swallowed} is the real number.
 *
 * A segment that the kernel has merged (GSO, GRO) counts as many as it has on the wire. Over loopback, whose MTU is 65,536 bytes, one segment may
 * have tens of kilobytes.
 */
export interface BriefBlackHole extends Impairment {
  /** The number of segments dropped so far. If the socket is closed: the last number read. */
  readonly swallowed: number
  /**
   * Resolves when the black hole has ended: it has dropped enough, was restored, or the socket was closed. Then the socket receives again,
   * unless another filter drops segments.
   *
   * Rejects if the kernel refuses to remove the filter, with the error that {@link restore} throws. If nothing awaits it, a rejection is not
   * reported as unhandled. The timer that reads the count does not keep the process running.
   */
  readonly done: Promise<void>
}

/** How often the count is read, ms: the shortest timer of Node. */
const READ_EVERY = 1

export function endAfter(segments: number, { release, isOpen, readDrops }: AttachedFilter): BriefBlackHole {
  let swallowed = 0
  let over = false
  let resolve!: () => void
  let reject!: (error: unknown) => void
  const done = new Promise<void>((...settle) => {
    ;[resolve, reject] = settle
  })
  done.catch(() => {})

  // Read after the filter is attached: segments that were dropped before do not count.
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
  const check = () => {
    try {
      if (!isOpen() || count() >= segments) restore()
    } catch (error) {
      reject(error)
    }
  }
  const timer = setInterval(check, READ_EVERY).unref()

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
