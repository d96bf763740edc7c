import { median } from './statistics.mjs'

// What a row is to reach. `ours` and `reference` are samples, one of each for a round.
//   value(ours, reference)  the figure that is judged
//   each(ours, reference)   the same of one round, for the spread
//   show(value)             as it is printed

export function timesAtMost(limit) {
  const each = (ours, reference) => ours / reference
  return {
    each,
    value: (ours, reference) => each(median(ours), median(reference)),
    reached: (value) => value <= limit,
    show: (value) => `${value.toFixed(2)} ×`,
    text: `≤ ${limit.toFixed(2)} ×`,
  }
}

export function timesFaster(least) {
  const each = (ours, reference) => reference / ours
  return {
    each,
    value: (ours, reference) => each(median(ours), median(reference)),
    reached: (value) => value >= least,
    show: (value) => `${value.toFixed(1)} × faster`,
    text: `≥ ${least} × faster`,
  }
}

export function atMostMore(limit, unit, digits = 0) {
  const each = (ours, reference) => ours - reference
  const show = (value) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)} ${unit}`
  return {
    each,
    value: (ours, reference) => median(ours.map((sample, round) => each(sample, reference[round]))),
    reached: (value) => value <= limit,
    show,
    text: `≤ +${limit} ${unit}`,
  }
}
