import { median, spread } from './statistics.mjs'

/** Thrown by a row that cannot be measured on this machine: that is a result too. */
export class NotMeasured extends Error {}

/**
 * Runs a row: `{ name, against, toReach, measure }`. `measure` returns samples of both sides and their unit. What goes
 * wrong in one row does not keep the others from being measured.
 *
 * `measure` may also return `notShown`: why, in this run, the row reached what it was to and still shows nothing.
 */
export async function measureRow({ name, against, toReach, measure }) {
  try {
    const { ours, reference, unit, notShown } = await measure()
    const value = toReach.value(ours, reference)
    return {
      name,
      against,
      toReach,
      unit,
      ours: median(ours),
      reference: median(reference),
      value,
      spread: spread(ours.map((sample, i) => toReach.each(sample, reference[i]))),
      samples: ours.length,
      verdict: verdictOf(toReach.reached(value), notShown),
    }
  } catch (error) {
    if (error instanceof NotMeasured)
      return { name, against, toReach, verdict: `not measured: ${error.message}` }
    return { name, against, toReach, verdict: 'broken', error }
  }
}

function verdictOf(reached, notShown) {
  if (!reached) return 'falls short'
  return notShown ? `not shown: ${notShown}` : 'reached'
}
