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
 * Keepalive settings of one connection. The names and units are those of Node's own `setKeepAlive({ … })`: all times in milliseconds.
 * For a field that is left out, the socket keeps its value.
 *
 * Nothing is rounded. A value that the kernel cannot hold exactly throws a `RangeError`, such as an `interval` of 1500 ms: the kernel counts it in
 * whole seconds.
 *
 * @example
 * ```ts
 * tune(socket, { initialDelay: 30_000, interval: 10_000, count: 3, userTimeout: 60_000 })
 * ```
 */
export interface Profile {
  /**
   * Whether the kernel sends keepalive probes: `SO_KEEPALIVE`, socket(7). Default: `true` if `initialDelay`, `interval` or `count` is
   * given.
   */
  enable?: boolean
  /**
   * How long a connection is idle before the first probe, in ms: 1 000 … 32 767 000, whole seconds.
   * `TCP_KEEPIDLE`, tcp(7). The system's default is 2 hours.
   */
  initialDelay?: number
  /**
   * Time between two unanswered probes, in ms: 1 000 … 32 767 000, whole seconds. `TCP_KEEPINTVL`, tcp(7). The
   * system's default is 75 s.
   */
  interval?: number
  /**
   * Unanswered probes until the kernel ends the connection: 1 … 127. `TCP_KEEPCNT`, tcp(7). The system's default is 9.
   * The kernel ignores it if `userTimeout` is set.
   */
  count?: number
  /**
   * How long data or a probe may go unacknowledged until the kernel ends the connection, in ms: 100 … 2 147 483 647, or 0: off, the
   * default. `TCP_USER_TIMEOUT`, tcp(7). 1 to 99 throws, because it usually means seconds; a profile that was read from a socket may have it.
   *
   * It also ends the connection to a live peer that reads nothing for that long while data waits for it. And it ends a connection attempt that
   * takes that long.
   */
  userTimeout?: number
  /**
   * SYN retransmissions until the kernel ends a connection attempt: 1 … 127. `TCP_SYNCNT`, tcp(7). n retransmissions take 2^(n+1) − 1
   * seconds: 3 s, 7 s, 15 s and so on. Since Linux 6.5 it takes 4 s more from n = 3 on: the first 5 SYNs are a second apart
   * (`tcp_syn_linear_timeouts`). The system's default is 6.
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
 * Checks a profile and completes it: `enable` becomes `true` if `initialDelay`, `interval` or `count` is given. `undefined` counts as
 * left out.
 *
 * @throws {@link InvalidTypeError} for an unknown field or a value of the wrong type.
 * @throws {@link OutOfRangeError} for a value outside its range, or one the kernel cannot hold exactly.
 */
export function checkProfile(profile: unknown): Profile {
  if (profile instanceof EventEmitter) {
    const message =
      'A profile must be an object such as { initialDelay: 30_000 }; got a connection or another EventEmitter.'
    throw new InvalidTypeError(`${message} For the profile of a connection, pass inspect(socket).profile.`, {
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

/** For each profile that `inspect` read: reads the sysctls of the connection's network namespace. */
const defaultReaders = new WeakMap<Profile, () => SystemDefaults | undefined>()

/** Notes where a profile was read. The sysctls are read on first use. */
export function noteSource(profile: Profile, readDefaults: () => SystemDefaults | undefined): void {
  defaultReaders.set(profile, readDefaults)
}

/** The defaults of the system that a profile was read from. `undefined` for any other profile, or if they cannot be read. */
export function defaultsBehind(profile: Profile): SystemDefaults | undefined {
  return defaultReaders.get(profile)?.()
}

const OTHER_WAY = 'setUserTimeout of deadpeer/net-keepalive accepts any time.'
const userTimeoutField = { field: 'userTimeout', constant: optionTable.userTimeout.constant }
