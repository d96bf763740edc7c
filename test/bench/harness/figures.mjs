import { median, quantile } from './statistics.mjs'

// What a row is to reach. `ours` and `reference` are samples, taken in pairs.
//   value(ours, reference)  the figure that is judged
//   each(ours, reference)   the same of one pair, for the spread
//   number(value), unit     how it is printed

export function timesAtMost(limit) {
  const each = (ours, reference) => ours / reference
  return {
    each,
    value: (ours, reference) => each(median(ours), median(reference)),
    reached: (value) => value <= limit,
    number: (value) => value.toFixed(2),
    unit: '×',
    text: `≤ ${limit.toFixed(2)} ×`,
  }
}

export function timesFaster(least) {
  const each = (ours, reference) => reference / ours
  return {
    each,
    value: (ours, reference) => each(median(ours), median(reference)),
    reached: (value) => value >= least,
    number: (value) => value.toFixed(1),
    unit: '× faster',
    text: `≥ ${least} × faster`,
  }
}

export function none(unit) {
  const each = (ours) => ours
  return {
    each,
    value: (ours) => Math.max(...ours),
    reached: (value) => value === 0,
    number: (value) => value.toLocaleString('en'),
    unit,
    text: `0 ${unit}`,
  }
}

export function atMostMore(limit, unit, digits = 0) {
  const each = (ours, reference) => ours - reference
  return {
    each,
    value: (ours, reference) => median(ours.map((sample, i) => each(sample, reference[i]))),
    reached: (value) => value <= limit,
    number: (value) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`,
    unit,
    text: `≤ +${limit} ${unit}`,
  }
}

/** Of all but the last hundredth. */
export function p99AtMostMore(limit, unit) {
  const more = atMostMore(limit, unit, 2)
  return {
    ...more,
    value: (ours, reference) =>
      quantile(
        ours.map((sample, i) => more.each(sample, reference[i])),
        0.99,
      ),
    text: `p99 ≤ +${limit} ${unit}`,
  }
}

/** Against no reference. */
export function atMost(limit, unit, digits) {
  const each = (ours) => ours
  return {
    each,
    value: median,
    reached: (value) => value <= limit,
    number: (value) => value.toFixed(digits),
    unit,
    text: `≤ ${limit} ${unit}`,
  }
}

/** The same, of the slowest. */
export function neverOver(limit, unit) {
  return { ...atMost(limit, unit, 0), value: (ours) => Math.max(...ours) }
}

/** A share of our own, in %, whatever the reference has: the least of all runs. */
export function shareAtLeast(least) {
  const each = (ours) => ours
  return {
    each,
    value: (ours) => Math.min(...ours),
    reached: (value) => value >= least,
    number: (value) => value.toFixed(1),
    unit: '%',
    text: `≥ ${least} %`,
  }
}
