const units = {
  us: 0.001,
  µs: 0.001,
  ms: 1,
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
} as const

/** Parses a time with a unit (1500ms, 30s, 1.5s, 5m, 1h, 5d) to ms. `undefined` for anything else, including a number without a unit. */
export function parseTime(text: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(us|µs|ms|s|m|min|h|d)$/.exec(text.trim()) ?? []
  if (number === undefined) return undefined
  const ms = Number(number) * units[unit as keyof typeof units]
  // A decimal fraction has no exact binary form: without rounding, 1.001 s would not be a whole number of ms.
  return Number(ms.toPrecision(15))
}
