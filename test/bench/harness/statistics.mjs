/** The value below which a part (0…1) of the values lies. */
export function quantile(values, part) {
  const sorted = Float64Array.from(values).sort()
  const position = (sorted.length - 1) * part
  const below = Math.floor(position)
  const above = Math.ceil(position)
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below)
}

export function median(values) {
  return quantile(values, 0.5)
}

/** Where the middle four fifths lie. */
export function spread(values) {
  return { p10: quantile(values, 0.1), p90: quantile(values, 0.9) }
}
