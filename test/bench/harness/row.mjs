import { median, spread } from './statistics.mjs'

/** Thrown by a row that cannot be measured on this machine: that is a result too. */
export class NotMeasured extends Error {}

/**
 * Runs a row: `{ name, against, toReach, measure }`. `measure` returns samples of both sides and their unit. What goes
 * wrong in one row does not keep the others from being measured.
 */
export async function measureRow({ name, against, toReach, measure }) {
  try {
    const { ours, reference, unit } = await measure()
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
      verdict: toReach.reached(value) ? 'reached' : 'falls short',
    }
  } catch (error) {
    if (error instanceof NotMeasured)
      return { name, against, toReach, verdict: `not measured: ${error.message}` }
    return { name, against, toReach, verdict: 'broken', error }
  }
}
