import { EventEmitter } from 'node:events'
import { InvalidTypeError } from '../errors.js'
import type { SystemDefaults } from '../kernel/defaults.js'
import {
  allowShortTimeout,
  allowsShortTimeout,
  type OptionName,
  type OptionRow,
  optionTable,
} from '../kernel/socket-options.js'
import {
  type Check,
  checkOptions,
  milliseconds,
  type Options,
  refuseSeconds,
  typed,
  whole,
} from '../options/check.js'

/**
 * Keepalive settings of one connection. All times are in milliseconds, under the names and in the units of
 * Node's own `setKeepAlive({ … })`. A field left out stays as the socket has it.
 *
 * A value that the kernel cannot hold exactly (1500 ms of `interval`, which it counts in whole seconds) is a
 * `RangeError`: nothing is rounded silently.
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
   * How long a connection is idle before the first probe, in ms: 1 000 … 32 767 000, whole seconds.
   * `TCP_KEEPIDLE`, tcp(7). The system's default is two hours.
   */
  initialDelay?: number
  /**
   * Time between two unanswered probes, in ms: 1 000 … 32 767 000, whole seconds. `TCP_KEEPINTVL`, tcp(7). The
   * system's default is 75 s.
   */
  interval?: number
  /**
   * Unanswered probes until the kernel gives the connection up: 1 … 127. `TCP_KEEPCNT`, tcp(7). The system's default is 9.
   * Ignored if `userTimeout` is set.
   */
  count?: number
  /**
   * How long sent data, or a probe, may go unacknowledged until the kernel gives the connection up, in ms:
   * 100 … 2 147 483 647, or 0: off, the default. `TCP_USER_TIMEOUT`, tcp(7). 1 to 99 is refused, because it is usually meant in
   * seconds, unless the profile was read from a socket. Also ends a peer that is alive but
   * reads nothing for that long while data waits for it, and a connection attempt that takes as long.
   */
  userTimeout?: number
  /**
   * SYN retransmissions until the kernel gives a connection attempt up: 1 … 127. `TCP_SYNCNT`, tcp(7). With n of them it takes
   * 2^(n+1) − 1 seconds: 3 s, 7 s, 15 s and so on; from n = 3 on 4 s more since Linux 6.5, which sends the first 5 SYNs a second
   * apart (`tcp_syn_linear_timeouts`). The system's default is 6.
   */
  synCount?: number
  /**
   * The longest wait between two retransmissions, in ms: 1 000 … 120 000, the default. `TCP_RTO_MAX_MS`,
   * linux/tcp.h, Linux 6.15 or newer. At 1 000 a dead peer with data in flight is detected in 15 s, not 15 minutes.
   */
  rtoMax?: number
  /**
   * Whether an ICMP unreachable ends a connection that has data in flight: `IP_RECVERR`, ip(7), and
   * `IPV6_RECVERR`, ipv6(7).
   */
  failOnIcmp?: boolean
}

const profileFields: Options<Profile> = {
  of: 'a profile',
  noun: 'field',
  called: 'A profile',
  example: '{ initialDelay: 30_000 }',
  field: 'profile',
  checks: Object.fromEntries(
    Object.entries(optionTable).map(([name, row]) => [name, checkFor(row)]),
  ) as unknown as Record<OptionName, Check>,
  // The kernel, Go, Rust, nginx, ss.
  otherNames: {
    keepalive: 'enable',
    enabled: 'enable',
    keepidle: 'initialDelay',
    keepaliveidle: 'initialDelay',
    keepaliveinitialdelay: 'initialDelay',
    keepalivemsecs: 'initialDelay',
    keepalivetime: 'initialDelay',
    idle: 'initialDelay',
    delay: 'initialDelay',
    time: 'initialDelay',
    keepintvl: 'interval',
    keepaliveinterval: 'interval',
    intvl: 'interval',
    keepcnt: 'count',
    keepalivecount: 'count',
    keepaliveprobes: 'count',
    cnt: 'count',
    probes: 'count',
    retries: 'count',
    timeout: 'userTimeout',
    syncnt: 'synCount',
    rtomaxms: 'rtoMax',
    recverr: 'failOnIcmp',
  },
}

function checkFor({ kind, constant, min, max, unit }: OptionRow): Check {
  if (kind === 'boolean') return typed('true or false', (value) => typeof value === 'boolean', constant)
  return kind === 'ms' ? milliseconds({ min, max, step: unit, constant }) : whole({ min, max, constant })
}

/**
 * Checks a profile and completes it: `enable` is `true` if a field about probes is given. Fields that are
 * `undefined` count as left out.
 *
 * @throws {@link InvalidTypeError} for an unknown field or a value of the wrong type.
 * @throws {@link OutOfRangeError} for a value outside its range, or one the kernel cannot hold exactly.
 */
export function checkProfile(profile: unknown): Profile {
  if (profile instanceof EventEmitter) {
    const message =
      'A profile must be an object such as { initialDelay: 30_000 }; got a connection or another emitter of events.'
    throw new InvalidTypeError(`${message} For a connection, pass inspect(socket).profile.`, {
      field: 'profile',
    })
  }
  const checked: Profile = { ...checkOptions(profile, profileFields) }
  if (allowsShortTimeout(profile as Profile)) allowShortTimeout(checked)
  else refuseSeconds(checked.userTimeout, 'userTimeout (TCP_USER_TIMEOUT)', OTHER_WAY, userTimeoutField)
  const asksForProbes = checked.initialDelay ?? checked.interval ?? checked.count
  if (checked.enable === undefined && asksForProbes !== undefined) checked.enable = true
  return checked
}

/** The sysctls behind the profiles that `inspect` read: those of the network namespace that the connection is in. */
const defaultReaders = new WeakMap<Profile, () => SystemDefaults | undefined>()

/** Notes where a profile was read. The sysctls are read when they are needed. */
export function noteSource(profile: Profile, readDefaults: () => SystemDefaults | undefined): void {
  defaultReaders.set(profile, readDefaults)
}

/** The defaults of the system that a profile was read from. `undefined` if it was not read, or if they cannot be. */
export function defaultsBehind(profile: Profile): SystemDefaults | undefined {
  return defaultReaders.get(profile)?.()
}

const OTHER_WAY = 'setUserTimeout of deadpeer/net-keepalive takes any time.'
const userTimeoutField = { field: 'userTimeout', constant: optionTable.userTimeout.constant }
