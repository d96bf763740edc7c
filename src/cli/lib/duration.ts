import { parseTime } from '../../options/time.js'
import { mustBe } from './invalid-argument.js'

/** The notation of a time, for errors. */
export const TIME = 'number with a unit: 1500ms, 30s, 5m, 1h or 5d'

/**
 * A time with its unit, in ms: 1500ms, 30s, 1.5s, 5m, 1h, 5d. A number without a unit is refused, because seconds and milliseconds are
 * equally likely.
 *
 * @param wanted what the error says is accepted.
 */
export function duration(text: string, wanted = `a ${TIME}`): number {
  const ms = parseTime(text)
  if (ms !== undefined) return ms
  throw mustBe(wanted, suggestUnit(text))
}

/** The likelier unit comes first. */
function suggestUnit(text: string): string {
  if (!/^\d+(\.\d+)?$/.test(text)) return ''
  const names = Number(text) < 1_000 ? ['s', 'ms'] : ['ms', 's']
  return `Did you mean ${names.map((unit) => text + unit).join(' or ')}?`
}

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

/** The exact text for {@link duration}, in the largest unit that divides the time: 1m, 32767s, 1500ms. */
export function durationText(ms: number): string {
  if (ms === 0) return '0s'
  const [name, unit] = units.find(([, size]) => ms % size === 0) ?? ['ms', 1]
  return `${ms / unit}${name}`
}
