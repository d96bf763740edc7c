import { median } from '../bench/harness/statistics.mjs'

// Whether a program that has gone on for a while is as large as it was. Pure: samples go in.

/** Until code is compiled, pools are filled and those that died first have been found. In s, and no more than a quarter of it all. */
const WARM_UP = 20

const MB = 2 ** 20

/**
 * How much the value of the last third may be above that of the first, in parts of the first.
 *
 * After collection, a sample is what is kept and, on top, the connections and buffers that are in use in that turn. The second part swings by
 * more than a leak adds, and a run of 60 s has five samples in a third, so their median may lie on a swing. A leak adds up and
 * raises the lowest value as well: at 100,000 connections that have come and gone, 50 bytes each show in a heap of 100 MB.
 *
 * Resident memory hardly ever falls, so its lowest value says only where it began; and of descriptors, a sample may also be too low, as
 * those of the connections are counted a moment later. There the median tells.
 */
const measures = [
  { key: 'heap', name: 'heap after collection', of: lowest, most: 0.05, least: 2 * MB },
  { key: 'buffers', name: 'buffers after collection', of: lowest, most: 0.05, least: 4 * MB },
  // What malloc has handed out: all that the native core keeps, and Node's own; and buffers, of which some are freed a while after collection.
  { key: 'native', name: 'native memory in use', of: lowest, most: 0.05, least: 8 * MB },
  // The most that was ever in use at once, and the allocator's holes: after a stall thousands of sockets are read at once, 64 KiB each.
  { key: 'rss', name: 'resident memory', of: median, most: 0.35, least: 24 * MB },
  { key: 'others', name: 'descriptors beside the connections', of: median, most: 0, least: 2 },
]

/** @param {{ at: number }[]} samples */
export function growth(samples) {
  const warm = samples.filter(({ at }) => at >= Math.min(WARM_UP, samples.at(-1).at / 4))
  const span = warm.at(-1).at - warm[0].at
  const [third, twoThirds] = [warm[0].at + span / 3, warm[0].at + (2 * span) / 3]
  return measures.map(({ key, name, of, most, least }) => {
    const values = warm.filter((sample) => sample[key] !== undefined)
    const first = of(values.filter(({ at }) => at <= third).map((sample) => sample[key]))
    const last = of(values.filter(({ at }) => at >= twoThirds).map((sample) => sample[key]))
    return { key, name, first, last, grownBy: last - first, allowed: Math.max(most * first, least) }
  })
}

function lowest(values) {
  return Math.min(...values)
}
