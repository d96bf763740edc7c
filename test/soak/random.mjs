/** Numbers from 0 to 1 that are the same in each run (mulberry32). */
export function seeded(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let word = Math.imul(state ^ (state >>> 15), state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}

/** One of some, by their weights. */
export function pick(random, weighted) {
  let left = random() * weighted.reduce((sum, { weight }) => sum + weight, 0)
  for (const each of weighted) {
    left -= each.weight
    if (left < 0) return each
  }
  return weighted.at(-1)
}
