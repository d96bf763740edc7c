import { InvalidTypeError, OutOfRangeError } from '../errors.js'
import type { CounterGroup, CounterGroups, Counters } from './counters.js'

/** How fast counters grew between two readings: per second, by the kernel's names. */
export interface CounterRates extends CounterGroups {
  /** The time between the two readings, ms. */
  readonly elapsed: number
}

// What says how many there are now, or how the kernel is set, does not grow.
const gaugeGroups = new Set(
  ['sockets', 'TCP', 'UDP', 'UDPLITE', 'RAW', 'FRAG'].flatMap((name) => [name, `${name}6`]),
)
const gauges = new Set([
  'Ip.Forwarding',
  'Ip.DefaultTTL',
  'Tcp.RtoAlgorithm',
  'Tcp.RtoMin',
  'Tcp.RtoMax',
  'Tcp.MaxConn',
  'Tcp.CurrEstab',
  'MPTcpExt.MPCurrEstab',
])

/**
 * The rates between two readings of the same network namespace, per second. Pure.
 *
 * Left out, so that no rate is made up:
 * - gauges (`Tcp.CurrEstab`, all of `sockstat`, settings such as `Tcp.RtoMin`): read them from the later reading;
 * - a counter that went backwards, which the kernel's do not: the readings are of two namespaces, or of two boots;
 * - a counter that only one reading has. But ICMP types (`IcmpMsg`, `Icmp6.InType…`), which the kernel lists once they have been
 *   seen, count from 0.
 *
 * @throws {@link InvalidTypeError} for what is no reading; {@link OutOfRangeError} where the second is not the later one.
 * @example
 * ```ts
 * const before = readCounters()
 * await setTimeout(10_000)
 * const rates = diffCounters(before, readCounters())
 * console.log(`${rates.TcpExt.TCPAbortOnTimeout} peers a second are found dead`)
 * ```
 */
export function diffCounters(earlier: Counters, later: Counters): CounterRates {
  const elapsed = timeOf(later, 'later') - timeOf(earlier, 'earlier')
  if (elapsed <= 0) {
    throw new OutOfRangeError(`The second reading is ${-elapsed} ms before the first; it must be later.`, {
      field: 'later',
    })
  }
  const before = new Map(groupsOf(earlier))
  const rates = groupsOf(later)
    .filter(([group]) => !gaugeGroups.has(group))
    .map(([group, counters]) => [group, ratesOf(group, before.get(group) ?? {}, counters, elapsed / 1000)])
  const groups = { Tcp: {}, TcpExt: {}, ...(Object.fromEntries(rates) as Partial<CounterGroups>) }
  return { ...groups, elapsed } as CounterRates
}

function ratesOf(group: string, before: CounterGroup, after: CounterGroup, seconds: number): CounterGroup {
  const known = new Map(Object.entries(before))
  const rates: [string, number][] = []
  for (const [name, value] of Object.entries(after)) {
    if (value === undefined || gauges.has(`${group}.${name}`)) continue
    const start = known.get(name) ?? (isListedOnceSeen(group, name) ? 0 : undefined)
    if (start === undefined || value < start) continue
    rates.push([name, (value - start) / seconds])
  }
  return Object.fromEntries(rates)
}

function isListedOnceSeen(group: string, name: string): boolean {
  return (group === 'IcmpMsg' || group === 'Icmp6') && /^(In|Out)Type\d+$/.test(name)
}

function groupsOf(counters: Counters): [string, CounterGroup][] {
  return Object.entries(counters).filter(([, group]) => typeof group === 'object' && group !== null)
}

function timeOf(counters: unknown, field: string): number {
  const time = typeof counters === 'object' && counters !== null && 'time' in counters && counters.time
  if (typeof time === 'number' && Number.isFinite(time)) return time
  throw new InvalidTypeError('diffCounters takes two results of readCounters.', { field })
}
