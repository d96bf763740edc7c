import { parseTime } from '../options/time.js'

/** The three fields that decide when the kernel probes an idle connection. */
export interface Timings {
  readonly initialDelay: number
  readonly interval: number
  readonly count: number
}

/**
 * Parses `initialDelay/interval/count`, such as `60s/5s/3`. A time without a unit is in seconds, as in the sysctls: `60/5/3` is the
 * same. `undefined` for any other text.
 */
export function parseTimings(text: string): Timings | undefined {
  const [first = '', second = '', count = '', ...more] = text.split('/')
  const [initialDelay, interval] = [first, second].map((part) =>
    parseTime(/^\d+$/.test(part) ? `${part}s` : part),
  )
  if (initialDelay === undefined || interval === undefined || !/^\d+$/.test(count) || more.length > 0)
    return undefined
  return { initialDelay, interval, count: Number(count) }
}
