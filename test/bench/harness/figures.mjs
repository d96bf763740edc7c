// What a row is to reach: how the figure is written, and when it is reached.

export function timesAtMost(limit) {
  return {
    text: `≤ ${limit.toFixed(2)} ×`,
    show: (value) => `${value.toFixed(2)} ×`,
    reached: (value) => value <= limit,
  }
}

export function timesFaster(least) {
  return {
    text: `≥ ${least} × faster`,
    show: (value) => `${value.toFixed(1)} × faster`,
    reached: (value) => value >= least,
  }
}

export function atMostMore(limit, unit, digits) {
  const more = (value) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)} ${unit}`
  return {
    text: `≤ ${more(limit)}`,
    show: more,
    reached: (value) => value <= limit,
  }
}
