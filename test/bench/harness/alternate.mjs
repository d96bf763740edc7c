/** How long one comparison may take, and in how many rounds at most. */
const BUDGET_MS = 2_500
const MAX_ROUNDS = 300
const MIN_ROUNDS = 12
const WARM_UP_ROUNDS = 5

/**
 * Two sides do the same work by turns, two passes each a round, in the order A B B A and in the next round
 * B A A B: a drift of the machine hits both alike. Every pass gets the other variant (0 or 1) of what it is to write, so
 * each writes something new.
 *
 * A side is `run(variant)`, which is timed and may be async, and `check(result, variant)`, which is not timed and
 * throws if the work was not done. `condition.renew()` brings about, untimed, what a row wants to hold, and returns until
 * when it does (of `performance.now()`); a round that ends later is dropped.
 *
 * Returns for each side the mean time of a pass, in ms, one for each round.
 */
export async function alternate(ours, reference, condition, maxRounds = MAX_ROUNDS) {
  const times = { ours: [], reference: [] }
  const end = performance.now() + BUDGET_MS
  let holdsUntil = 0
  let longest = 0
  for (let tries = 0; times.ours.length < maxRounds; tries++) {
    const start = performance.now()
    if (start > end && times.ours.length >= MIN_ROUNDS) break
    if (tries > MAX_ROUNDS * 2) throw new Error('The condition of this row does not hold for a whole round.')
    if (start + longest >= holdsUntil) holdsUntil = await condition.renew()

    const before = performance.now()
    const first = tries % 2 === 0 ? ours : reference
    const second = first === ours ? reference : ours
    const outer = [await timed(first, 0)]
    const inner = [await timed(second, 1), await timed(second, 0)]
    outer.push(await timed(first, 1))
    const after = performance.now()

    if (tries >= WARM_UP_ROUNDS) longest = Math.max(longest, after - before)
    if (tries < WARM_UP_ROUNDS || after > holdsUntil) continue
    times.ours.push(mean(first === ours ? outer : inner))
    times.reference.push(mean(first === ours ? inner : outer))
  }
  return times
}

async function timed(side, variant) {
  const start = performance.now()
  const result = await side.run(variant)
  const time = performance.now() - start
  side.check(result, variant)
  return time
}

function mean([a, b]) {
  return (a + b) / 2
}
