import { InvalidArgumentError } from 'commander'

const units = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** A time as one types it, in ms: 1500ms, 30s, 1.5s, 5m, 1h, 5d. A bare number would have to be guessed, so it is refused. */
export function duration(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|min|h|d)$/.exec(text.trim()) ?? []
  if (number === undefined)
    throw new InvalidArgumentError(`A time is a number and its unit: 1500ms, 30s, 5m, 1h, 5d.`)
  const ms = Number(number) * units[unit as keyof typeof units]
  // 0.1 s is not a whole number of ms in binary.
  return Math.round(ms * 1_000) / 1_000
}
