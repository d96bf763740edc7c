import { median } from '../bench/harness/statistics.mjs'

// Whether a program that has gone on for a while is as large as it was. Pure: samples go in.

/** Until code is compiled, pools are filled and those that died first have been found. In s, and no more than a quarter of it all. */
const WARM_UP = 20

const MB = 2 ** 20

/**
 * Of the middle of the first third to that of the last: how much it may have grown, in parts of the first. What a connection leaves
 * behind by mistake adds up: at 100,000 that have come and gone a leak of 50 bytes each shows in a heap of 100 MB. What they do not
 * grow by but swing by, the number of connections and of buffers in use, is within this.
 */
const measures = [
  { key: 'heap', name: 'heap after collection', most: 0.05, least: 2 * MB },
  { key: 'buffers', name: 'buffers after collection', most: 0.05, least: 4 * MB },
  // What malloc has handed out: all that the native core keeps, and Node's own; and buffers, of which some are freed a while after collection.
  { key: 'native', name: 'native memory in use', most: 0.05, least: 8 * MB },
  // The most that was ever in use at once, and the allocator's holes: after a stall thousands of sockets are read at once, 64 KiB each.
  { key: 'rss', name: 'resident memory', most: 0.35, least: 24 * MB },
  { key: 'others', name: 'descriptors beside the connections', most: 0, least: 2 },
]

/** @param {{ at: number }[]} samples */
export function growth(samples) {
  const warm = samples.filter(({ at }) => at >= Math.min(WARM_UP, samples.at(-1).at / 4))
  const span = warm.at(-1).at - warm[0].at
  const [third, twoThirds] = [warm[0].at + span / 3, warm[0].at + (2 * span) / 3]
  return measures.map(({ key, name, most, least }) => {
    const values = warm.filter((sample) => sample[key] !== undefined)
    const first = median(values.filter(({ at }) => at <= third).map((sample) => sample[key]))
    const last = median(values.filter(({ at }) => at >= twoThirds).map((sample) => sample[key]))
    return { key, name, first, last, grownBy: last - first, allowed: Math.max(most * first, least) }
  })
}
