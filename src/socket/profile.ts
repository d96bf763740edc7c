import { InvalidTypeError, OutOfRangeError } from '../errors.js'
import { type OptionName, type OptionRow, optionNames, optionTable } from '../kernel/options.js'

/**
 * Keepalive settings of one connection. All times are in milliseconds, under the names and in the units of
 * Node's own `setKeepAlive({ … })`. A field left out stays as the socket has it.
 *
 * A value that the kernel cannot hold exactly (1500 ms of `interval`, which it counts in whole seconds) is a
 * `RangeError`: nothing is rounded in silence.
 *
 * @example
 * ```ts
 * tune(socket, { initialDelay: 30_000, interval: 10_000, count: 3, userTimeout: 60_000 })
 * ```
 */
export interface Profile {
  /**
   * Whether the kernel sends keepalive probes at all: `SO_KEEPALIVE`, socket(7). Defaults to `true` when
   * `initialDelay`, `interval` or `count` is given.
   */
  enable?: boolean
  /**
   * How long a connection is silent before the first probe, in ms: 1 000 … 32 767 000, whole seconds.
   * `TCP_KEEPIDLE`, tcp(7). The system's default is two hours.
   */
  initialDelay?: number
  /**
   * Time between two unanswered probes, in ms: 1 000 … 32 767 000, whole seconds. `TCP_KEEPINTVL`, tcp(7). The
   * system's default is 75 s.
   */
  interval?: number
  /**
   * Unanswered probes until the connection is given up: 1 … 127. `TCP_KEEPCNT`, tcp(7). The system's default is 9.
   * Moot where `userTimeout` is set: that decides then.
   */
  count?: number
  /**
   * How long sent data, or a probe, may go unacknowledged until the connection is given up, in ms:
   * 0 … 2 147 483 647; 0 is off, the default. `TCP_USER_TIMEOUT`, tcp(7). Also ends a peer that is alive but
   * reads nothing for that long while data waits for it, and a connection attempt that takes as long.
   */
  userTimeout?: number
  /**
   * SYNs sent again until a connection attempt is given up: 1 … 127. `TCP_SYNCNT`, tcp(7). With n of them it takes
   * 2^(n+1) − 1 seconds: 3 s, 7 s, 15 s and so on; from n = 3 on 4 s more since Linux 6.5, which sends the first 5 SYNs a second
   * apart (`tcp_syn_linear_timeouts`). The system's default is 6.
   */
  synCount?: number
  /**
   * The longest wait between two retransmissions, in ms: 1 000 … 120 000, the default. `TCP_RTO_MAX_MS`,
   * linux/tcp.h, Linux 6.15 or newer. At 1 000 a dead peer with data in flight is noticed in 15 s, not 15 minutes.
   */
  rtoMax?: number
  /**
   * Whether an ICMP unreachable ends a connection that has data in flight: `IP_RECVERR`, ip(7), and
   * `IPV6_RECVERR`, ipv6(7).
   */
  failOnIcmp?: boolean
}

// What people call these fields elsewhere: the kernel, Go, Rust, nginx, ss.
const otherNames: Record<string, OptionName> = {
  keepalive: 'enable',
  enabled: 'enable',
  keepidle: 'initialDelay',
  idle: 'initialDelay',
  delay: 'initialDelay',
  time: 'initialDelay',
  keepintvl: 'interval',
  intvl: 'interval',
  keepcnt: 'count',
  cnt: 'count',
  probes: 'count',
  retries: 'count',
  timeout: 'userTimeout',
  syncnt: 'synCount',
  syncount: 'synCount',
  recverr: 'failOnIcmp',
}

function suggest(key: string): string {
  const plain = key
    .toLowerCase()
    .replace(/^(so|tcp|ip|ipv6)_/, '')
    .replaceAll(/[_-]/g, '')
  const name =
    (Object.hasOwn(otherNames, plain) ? otherNames[plain] : undefined) ??
    optionNames.find((known) => known.toLowerCase() === plain)
  return name ? ` Did you mean ${name}?` : ` A profile has: ${optionNames.join(', ')}.`
}

function describeRange({ kind, unit, min, max }: OptionRow): string {
  if (kind === 'count') return `a whole number from ${min} to ${max}`
  return `${unit === 1000 ? 'whole seconds' : 'whole milliseconds'}, from ${min} to ${max} ms`
}

function checkValue(name: OptionName, value: unknown): void {
  const row: OptionRow = optionTable[name]
  const details = { field: name, constant: row.constant }
  const wanted = row.kind === 'boolean' ? 'true or false' : describeRange(row)
  if (typeof value !== (row.kind === 'boolean' ? 'boolean' : 'number')) {
    throw new InvalidTypeError(
      `${name} (${row.constant}) is ${describe(value)}; it must be ${wanted}.`,
      details,
    )
  }
  if (typeof value !== 'number') return
  if (!Number.isInteger(value) || value < row.min || value > row.max || value % row.unit !== 0) {
    throw new OutOfRangeError(`${name} (${row.constant}) is ${value}; it must be ${wanted}.`, details)
  }
}

/** A value in words, for messages. */
export function describe(value: unknown): string {
  if (value === null) return 'null'
  return typeof value === 'string' ? `'${value}', a string` : `of type ${typeof value}`
}

/**
 * Checks a profile and completes it: `enable` is `true` where probes were asked for. Fields that are
 * `undefined` count as left out.
 *
 * @throws {@link InvalidTypeError} for an unknown field or a value of the wrong type.
 * @throws {@link OutOfRangeError} for a value outside its range, or one the kernel cannot hold exactly.
 */
export function checkProfile(profile: unknown): Profile {
  if (typeof profile !== 'object' || profile === null || Array.isArray(profile)) {
    throw new InvalidTypeError(
      `A profile is an object such as { initialDelay: 30_000 }, not ${describe(profile)}.`,
      {
        field: 'profile',
      },
    )
  }
  const checked: Profile = {}
  for (const [key, value] of Object.entries(profile)) {
    if (value === undefined) continue
    if (!Object.hasOwn(optionTable, key)) {
      throw new InvalidTypeError(`${key} is no field of a profile.${suggest(key)}`, { field: key })
    }
    checkValue(key as OptionName, value)
    Object.assign(checked, { [key]: value })
  }
  const asksForProbes = checked.initialDelay ?? checked.interval ?? checked.count
  if (checked.enable === undefined && asksForProbes !== undefined) checked.enable = true
  return checked
}
