import { InvalidArgumentError } from 'commander'
import { parseTime } from '../../options/time.js'

/** A time as one types it, in ms: 1500ms, 30s, 1.5s, 5m, 1h, 5d. A bare number would have to be guessed, so it is refused. */
export function duration(text: string): number {
  const ms = parseTime(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError(
    `A time is a number and its unit: 1500ms, 30s, 5m, 1h, 5d.${suggestUnit(text)}`,
  )
}

/** The likelier first. */
function suggestUnit(text: string): string {
  if (!/^\d+(\.\d+)?$/.test(text)) return ''
  const units = Number(text) < 1_000 ? ['s', 'ms'] : ['ms', 's']
  return ` Did you mean ${units.map((unit) => text + unit).join(' or ')}?`
}
