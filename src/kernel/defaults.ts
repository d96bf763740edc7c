import { DeadpeerError } from '../errors.js'
import { anything, type Check, checkOptions, type Options } from '../options/check.js'
import { type NativeCore, type NativeFailure, requireCore } from './binding.js'
import { isFailure } from './failure.js'
import { entryError, networkOf, pidOf } from './network-namespace.js'
import { readError, readProcFile, requireLinux } from './proc-file.js'
import { type OptionName, type OptionValues, optionNames } from './socket-options.js'

/**
 * The system's defaults for socket options, with the names and units of a {@link Profile}: sysctl `net.ipv4.tcp_*`, tcp(7). A sysctl that this
 * kernel or namespace does not have is `undefined`, never 0.
 */
export interface OptionDefaults {
  /** `tcp_keepalive_time`, ms. The kernel's default is 7 200 000. */
  readonly initialDelay: number | undefined
  /** `tcp_keepalive_intvl`, ms. The kernel's default is 75 000. */
  readonly interval: number | undefined
  /** `tcp_keepalive_probes`. The kernel's default is 9. */
  readonly count: number | undefined
  /** `tcp_syn_retries`. The kernel's default is 6. */
  readonly synCount: number | undefined
  /** `tcp_rto_max_ms`, ms, since Linux 6.15. The kernel's default is 120 000. A socket copies it when it is created; later changes have no effect on it. */
  readonly rtoMax: number | undefined
}

/** The system's settings that matter for the detection of dead peers. All times in ms. */
export interface SystemDefaults extends OptionDefaults {
  /** `tcp_rto_min_us`, in ms with fractions: the minimum retransmission timeout. Since Linux 6.11. The kernel's default is 200. */
  readonly rtoMin: number | undefined
  /** `tcp_retries1`: retransmissions until the kernel looks for another route. The kernel's default is 3. */
  readonly retries1: number | undefined
  /** `tcp_retries2`: retransmissions from which the kernel computes how long data may be in flight. The kernel's default is 15. */
  readonly retries2: number | undefined
  /** `tcp_synack_retries`: SYN-ACK retransmissions until the kernel drops an incoming connection. The kernel's default is 5. */
  readonly synackRetries: number | undefined
  /** `tcp_syn_linear_timeouts`: how many waits of a connection attempt are not doubled. Since Linux 6.5. The kernel's default is 4. */
  readonly synLinearTimeouts: number | undefined
  /** `tcp_orphan_retries`: retransmissions for a connection that its process has closed. The kernel's default is 0, which means 8. */
  readonly orphanRetries: number | undefined
  /** `tcp_fin_timeout`, ms: how long a connection that its process has closed waits for the peer's FIN. The kernel's default is 60 000. */
  readonly finTimeout: number | undefined
  /** `tcp_invalid_ratelimit`, ms: the minimum time between two ACKs for segments such as probes, per connection. The kernel's default is 500. */
  readonly invalidRatelimit: number | undefined
  /**
   * `net.core.netdev_max_backlog`: segments that can wait for one processor. The kernel's default is 1000. The kernel drops a larger burst of
   * probes. Only the host's own namespace has it.
   */
  readonly netdevMaxBacklog: number | undefined
}

/** Which network namespace to read. */
export interface DefaultsOptions {
  /** The id of a process in the network namespace to read. Default: the namespace of the calling thread. */
  readonly pid?: number | undefined
}

/**
 * Reads the sysctls that apply to options that are not set, in the network namespace of the calling thread. It needs no privileges and
 * no native core. It is synchronous and takes 0.2 ms.
 *
 * With `pid`, it reads those of the network namespace of that process. That needs the native core: /proc/sys always shows the reader's own
 * namespace, so a native thread enters the other one to read. If the namespace is not the caller's, that needs CAP_SYS_ADMIN.
 *
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE` for a bad `pid`.
 * @throws {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM` if the system is not Linux, or with `pid` if there is no native core; `EACCES` if
 * a sandbox forbids reading. With `pid` also: `ESRCH` if there is no such process; `EACCES` if this process may not look up its namespace;
 * `EPERM` with `syscall` `'setns'` if this process may not enter it.
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

/** Reads the sysctls for which a socket has an option. */
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
 * The sysctls of a socket's network namespace. `undefined` if they cannot be read.
 *
 * @param network the namespace that the socket was in.
 * @param withSocket calls the function with the socket's descriptor, and throws if the socket is closed. It is called only if the namespace
 * is not that of this thread.
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

/** A file that this kernel or namespace does not have becomes `undefined`. */
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

/** The defaults of the options that have no sysctl. */
const fixedDefaults = { enable: false, userTimeout: 0, failOnIcmp: false }

/**
 * Lists the options whose value equals the system's default. The kernel does not report whether such an option follows the default or was set
 * to the same value. Pure. `inspect(socket).equalsDefault` reads the defaults at each call; with this function one reading serves many
 * sockets.
 *
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE` for anything but an object of options.
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

/** Parses a whole number, with or without a newline. `undefined` for any other text. Pure. */
export function parseSysctl(text: string): number | undefined {
  return /^-?\d{1,15}\n?$/.test(text) ? Number(text) : undefined
}
