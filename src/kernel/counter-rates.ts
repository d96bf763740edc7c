import { InvalidTypeError, OutOfRangeError } from '../errors.js'
import { describe } from '../options/check.js'
import type { CounterGroup, CounterGroups, Counters } from './counters.js'

/** The rates of counters between two readings, per second, by the kernel's names. */
export interface CounterRates extends CounterGroups {
  /** The time between the two readings, ms. */
  readonly elapsed: number
}

// Gauges and settings, which have no rate.
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
 * The rates of counters between two readings of the same network namespace, per second. Pure.
 *
 * The result leaves out:
 * - gauges and settings (`Tcp.CurrEstab`, all of `sockstat`, `Tcp.RtoMin`). Read them from the later reading.
 * - counters that went backwards. The kernel's never do: the readings are from two namespaces or two boots.
 * - counters that only one reading has. Exception: ICMP types (`IcmpMsg`, `Icmp6.InType…`) start at 0, because the kernel lists a type only
 *   once it has occurred.
 *
 * @throws {@link InvalidTypeError} for anything but two results of {@link readCounters}; {@link OutOfRangeError} if the second is not later
 * than the first.
 * @example
 * ```ts
 * const before = readCounters()
 * await setTimeout(10_000)
 * const rates = diffCounters(before, readCounters())
 * console.log(`the kernel gives up ${rates.TcpExt.TCPAbortOnTimeout} connections per second`)
 * ```
 */
export function diffCounters(earlier: Counters, later: Counters): CounterRates {
  const elapsed = timeOf(later, 'later') - timeOf(earlier, 'earlier')
  if (elapsed <= 0) {
    throw new OutOfRangeError(
      `later must be read after earlier; it was read ${-elapsed} ms before. Did you swap the arguments?`,
      { field: 'later' },
    )
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
  throw new InvalidTypeError(`${field} must be a result of readCounters(); got ${describe(counters)}.`, {
    field,
  })
}
