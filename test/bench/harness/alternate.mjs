import { NotMeasured } from './row.mjs'

const WARM_UP_ROUNDS = 5

/** Enough of a row: so much time in rounds that count, or so many of them. */
const ENOUGH_MS = 2_000
const ENOUGH_ROUNDS = 300

/** Other work on the machine can make a round outlast its condition; so often in a row is too often. */
const MAX_DROPPED = 20

/**
 * Two sides do the same work by turns, two passes each a round, in the order A B B A and in the next round
 * B A A B: a drift of the machine hits both alike. Every pass gets the other variant (0 or 1) of what it is to
 * write than the pass before, so that each changes something.
 *
 * - A side: `run(variant)`, timed, may be async; `check(result, variant)`, not timed, throws if the work was not done.
 * - `condition.renew()` brings about, untimed, what is to hold during a round, and returns until when it does, in
 *   terms of `performance.now()`. A round that took longer does not count.
 *
 * Returns the times of the passes, in ms. Those with the same index were next to each other.
 */
export async function alternate(ours, reference, condition, { maxRounds = ENOUGH_ROUNDS } = {}) {
  const times = { ours: [], reference: [] }
  let holdsUntil = 0
  let expected = 0
  let spent = 0
  let dropped = 0
  for (let round = 0; times.ours.length < 2 * maxRounds && spent < ENOUGH_MS; round++) {
    if (performance.now() + expected >= holdsUntil) holdsUntil = await condition.renew()

    const start = performance.now()
    const [first, second] = round % 2 === 0 ? [ours, reference] : [reference, ours]
    const passes = await runRound(first, second)
    const end = performance.now()
    expected = end - start

    if (round < WARM_UP_ROUNDS) continue
    if (end > holdsUntil) {
      if (++dropped > MAX_DROPPED) throw new NotMeasured('the machine is too busy with other work')
      continue
    }
    dropped = 0
    spent += expected
    times.ours.push(...passes.get(ours))
    times.reference.push(...passes.get(reference))
  }
  return times
}

async function runRound(a, b) {
  const a0 = await time(a, 0)
  const b1 = await time(b, 1)
  const b0 = await time(b, 0)
  const a1 = await time(a, 1)
  return new Map([
    [a, [a0, a1]],
    [b, [b1, b0]],
  ])
}

async function time(side, variant) {
  const start = performance.now()
  const result = await side.run(variant)
  const elapsed = performance.now() - start
  side.check(result, variant)
  return elapsed
}
