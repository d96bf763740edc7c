import { DeadpeerError } from '../errors.js'
import { anything, type Check, checkOptions, type Options } from '../options/check.js'
import { type NativeCore, type NativeFailure, requireCore } from './binding.js'
import { isFailure } from './failure.js'
import { entryError, networkOf, pidOf } from './network-namespace.js'
import { readError, readProcFile, requireLinux } from './proc-file.js'
import { type OptionName, type OptionValues, optionNames } from './socket-options.js'

/**
 * What a socket has where nobody has set it, in a profile's names and units: sysctl `net.ipv4.tcp_*`, tcp(7). What this
 * kernel or namespace does not show is `undefined`, never 0.
 */
export interface OptionDefaults {
  /** `tcp_keepalive_time`, ms; 7 200 000 in a kernel left as it is. */
  readonly initialDelay: number | undefined
  /** `tcp_keepalive_intvl`, ms; 75 000. */
  readonly interval: number | undefined
  /** `tcp_keepalive_probes`; 9. */
  readonly count: number | undefined
  /** `tcp_syn_retries`; 6. */
  readonly synCount: number | undefined
  /** `tcp_rto_max_ms`, ms; 120 000. Linux 6.15. A socket takes it when it is made, and does not follow it afterwards. */
  readonly rtoMax: number | undefined
}

/** How this system is set in what concerns dead peers. All times in ms. */
export interface SystemDefaults extends OptionDefaults {
  /** `tcp_rto_min_us`, ms, with fractions; 200. Linux 6.11. */
  readonly rtoMin: number | undefined
  /** `tcp_retries1`: retransmissions until the route is doubted; 3. */
  readonly retries1: number | undefined
  /** `tcp_retries2`: retransmissions that the time allowed for data in flight is modelled on; 15. */
  readonly retries2: number | undefined
  /** `tcp_synack_retries`: SYN-ACKs sent again until a connection that came in is given up; 5. */
  readonly synackRetries: number | undefined
  /** `tcp_syn_linear_timeouts`: how many waits of a connection attempt do not double; 4. Linux 6.5. */
  readonly synLinearTimeouts: number | undefined
  /** `tcp_orphan_retries`: retransmissions for a connection that its process has closed; 0, which the kernel takes for 8. */
  readonly orphanRetries: number | undefined
  /** `tcp_fin_timeout`, ms: how long such a connection waits for the peer's FIN; 60 000. */
  readonly finTimeout: number | undefined
  /** `tcp_invalid_ratelimit`, ms: a connection answers segments such as probes at most this often; 500. */
  readonly invalidRatelimit: number | undefined
  /**
   * `net.core.netdev_max_backlog`: segments that may wait for one processor; 1000. A burst of probes beyond it is lost.
   * Only the host's own namespace shows it.
   */
  readonly netdevMaxBacklog: number | undefined
}

/** Which network namespace to read. */
export interface DefaultsOptions {
  /** A process in the network namespace that is meant. Default: the namespace of the calling thread. */
  readonly pid?: number | undefined
}

/**
 * Reads the sysctls that decide where no option was set, of the network namespace of the calling thread. It needs no privileges and
 * no native core, and is synchronous: it takes 0.2 ms.
 *
 * With `pid` it reads those of the network namespace of that process, by the native core: /proc/sys shows each reader its own namespace, by
 * whatever path, so a thread enters the other for as long as that takes. That needs CAP_SYS_ADMIN where the namespace is not the caller's.
 *
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE` for a bad `pid`.
 * @throws {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM` where there is no Linux, or `pid` is given and there is no native core; `EACCES` where
 * a sandbox forbids it. With `pid`: `ESRCH` for a process that is not there, `EACCES` where its namespace may not be looked up, `EPERM` with
 * `syscall` `'setns'` where it may not be entered.
 * @example
 * ```ts
 * const { initialDelay, interval, count } = readDefaults() // 7_200_000, 75_000, 9
 * ```
 */
export function readDefaults(options: DefaultsOptions = {}): SystemDefaults {
  const pid = pidOf(options, 'readDefaults()')
  requireLinux('readDefaults')
  if (pid === undefined) return readOwn(sysctls)
  const core = requireCore("Reading the defaults of another process's network namespace")
  const texts = core.readFilesFor(pid, pathsOf(sysctls))
  if (isFailure(texts)) throw entryError(texts, pid)
  return toDefaults(sysctls, texts)
}

/** Those sysctls for which a socket has an option. */
export function readOptionDefaults(): OptionDefaults {
  return readOwn(optionSysctls)
}

interface Sysctl {
  /** Below /proc/sys/net. */
  readonly name: string
  readonly toMs?: (value: number) => number
}

const seconds = (value: number) => value * 1_000
const microseconds = (value: number) => value / 1_000
const asItIs = (value: number) => value

const optionSysctls: Table<keyof OptionDefaults> = {
  initialDelay: { name: 'ipv4/tcp_keepalive_time', toMs: seconds },
  interval: { name: 'ipv4/tcp_keepalive_intvl', toMs: seconds },
  count: { name: 'ipv4/tcp_keepalive_probes' },
  synCount: { name: 'ipv4/tcp_syn_retries' },
  rtoMax: { name: 'ipv4/tcp_rto_max_ms' },
}

const sysctls: Table<keyof SystemDefaults> = {
  ...optionSysctls,
  rtoMin: { name: 'ipv4/tcp_rto_min_us', toMs: microseconds },
  retries1: { name: 'ipv4/tcp_retries1' },
  retries2: { name: 'ipv4/tcp_retries2' },
  synackRetries: { name: 'ipv4/tcp_synack_retries' },
  synLinearTimeouts: { name: 'ipv4/tcp_syn_linear_timeouts' },
  orphanRetries: { name: 'ipv4/tcp_orphan_retries' },
  finTimeout: { name: 'ipv4/tcp_fin_timeout', toMs: seconds },
  invalidRatelimit: { name: 'ipv4/tcp_invalid_ratelimit' },
  netdevMaxBacklog: { name: 'core/netdev_max_backlog' },
}

export const defaultNames = Object.keys(sysctls) as (keyof SystemDefaults)[]

type Table<Name extends string> = Readonly<Record<Name, Sysctl>>

function pathsOf(table: Table<string>): string[] {
  return Object.values(table).map(({ name }) => `/proc/sys/net/${name}`)
}

function readOwn<Name extends string>(table: Table<Name>): Record<Name, number | undefined> {
  return toDefaults(table, pathsOf(table).map(readProcFile))
}

/**
 * The sysctls of the network namespace that a socket was found in; `undefined` where they cannot be read.
 *
 * @param withSocket calls what it is given with the socket's descriptor, and throws where there is none any more. Only a namespace other
 * than this thread's needs it.
 */
export function readDefaultsOf(
  core: NativeCore,
  network: ReturnType<typeof networkOf>,
  withSocket: <T>(read: (fd: number) => T) => T,
): SystemDefaults | undefined {
  try {
    if (isFailure(network)) return undefined
    if (network === undefined || network === core.readOwnNetworkCookie()) return readDefaults()
    return withSocket((fd) => (networkOf(core, fd) === network ? readForSocket(core, fd) : undefined))
  } catch (error) {
    if (error instanceof DeadpeerError) return undefined
    throw error
  }
}

function readForSocket(core: NativeCore, fd: number): SystemDefaults | undefined {
  const texts = core.readFilesForSocket(fd, pathsOf(sysctls))
  return isFailure(texts) ? undefined : toDefaults(sysctls, texts)
}

/** A file that this kernel or namespace does not have makes `undefined`. */
function toDefaults<Name extends string>(
  table: Table<Name>,
  texts: readonly (string | NativeFailure | undefined)[],
): Record<Name, number | undefined> {
  const paths = pathsOf(table)
  const rows = Object.entries<Sysctl>(table).map(([field, { toMs = asItIs }], i) => {
    const text = texts[i] ?? ''
    const error = isFailure(text) ? readError(paths[i]!, text) : undefined
    if (error && error.code !== 'ENOENT') throw error
    const value = isFailure(text) ? undefined : parseSysctl(text)
    return [field, value === undefined ? undefined : toMs(value)]
  })
  return Object.fromEntries(rows)
}

const comparedValues: Options<OptionValues> = {
  of: 'a profile',
  noun: 'field',
  example: '{ interval: 75_000 }',
  called: 'values',
  field: 'values',
  checks: anyOf(optionNames),
}

const comparedDefaults: Options<SystemDefaults> = {
  of: 'a system, as readDefaults() returns them',
  noun: 'default',
  example: '{ interval: 75_000 }',
  called: 'defaults',
  field: 'defaults',
  checks: anyOf(defaultNames),
}

function anyOf<Name extends string>(names: readonly Name[]): Record<Name, Check> {
  return Object.fromEntries(names.map((name) => [name, anything])) as Record<Name, Check>
}

/** Of the options that no sysctl governs. */
const fixedDefaults = { enable: false, userTimeout: 0, failOnIcmp: false }

/**
 * Which options have the value that the system has as its default. Whether one follows the default, or was set to the same, the
 * kernel does not tell. Pure: `inspect(socket).equalsDefault` reads the defaults each time, and this does for many sockets
 * with one reading.
 *
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE` for what is no object of options.
 * @example
 * ```ts
 * const defaults = readDefaults()
 * for (const socket of sockets) console.log(equalsDefault(inspect(socket).profile, defaults)) // ['interval', 'count']
 * ```
 */
export function equalsDefault(values: OptionValues, defaults: Partial<OptionDefaults>): OptionName[] {
  const compared = checkOptions(values, comparedValues)
  const all: OptionValues = {
    ...fixedDefaults,
    ...(checkOptions(defaults, comparedDefaults) as OptionValues),
  }
  return optionNames.filter((name) => compared[name] !== undefined && compared[name] === all[name])
}

/** One whole number and the end of the line; `undefined` for anything else. Pure. */
export function parseSysctl(text: string): number | undefined {
  return /^-?\d{1,15}\n?$/.test(text) ? Number(text) : undefined
}
