const units = [
  [86_400_000, 'd', 2],
  [3_600_000, 'h', 2],
  [60_000, 'min', 3],
] as const

/** A duration: `for 60 s`, or `forever`. */
export function forInWords(ms: number): string {
  return ms === Number.POSITIVE_INFINITY ? 'forever' : `for ${inWords(ms)}`
}

/** When something happens: `after 60 s`, or `never`. */
export function afterInWords(ms: number): string {
  return ms === Number.POSITIVE_INFINITY ? 'never' : `after ${inWords(ms)}`
}

/** A time in ms with its usual unit, not rounded: `350 s`, `4 min`, `5 d`. `Infinity` becomes `never`. */
export function inWords(ms: number): string {
  if (ms === Number.POSITIVE_INFINITY) return 'never'
  for (const [unit, name, least] of units) {
    if (ms >= least * unit && ms % unit === 0) return `${ms / unit} ${name}`
  }
  return ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`
}
