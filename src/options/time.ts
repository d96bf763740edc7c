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

/** A time with its unit, in ms: 1500ms, 30s, 1.5s, 5m, 1h, 5d. `undefined` for anything else, a number without a unit included. */
export function parseTime(text: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(us|µs|ms|s|m|min|h|d)$/.exec(text.trim()) ?? []
  if (number === undefined) return undefined
  const ms = Number(number) * units[unit as keyof typeof units]
  // A decimal fraction has no exact binary form: 0.1 s would not be a whole number of ms.
  return Number(ms.toPrecision(15))
}
