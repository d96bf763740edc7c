import { InvalidTypeError } from '../errors.js'
import { type OptionName, type OptionValues, optionNames } from './options.js'
import { readProcFile, requireLinux } from './proc-file.js'

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

/**
 * Reads the sysctls that decide where no option was set, of the network namespace of the calling thread. It needs no privileges and
 * no native core, and is synchronous: it takes 0.2 ms.
 *
 * There is no `pid`: /proc/sys shows each reader its own namespace, by whatever path. `inspect(socket).defaults` reads those of a
 * connection's namespace.
 *
 * @throws {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM` where there is no Linux; `EACCES` where a sandbox forbids it.
 * @example
 * ```ts
 * const { initialDelay, interval, count } = readDefaults() // 7_200_000, 75_000, 9
 * ```
 */
export function readDefaults(): SystemDefaults {
  requireLinux('readDefaults')
  return defaultsFrom(readHere)
}

/** All files under /proc/sys/net that {@link defaultsFrom} asks for. */
export const sysctlNames: readonly string[] = namesAskedFor()

/** @param read the text of a file under /proc/sys/net, or `undefined` where there is none. */
export function defaultsFrom(read: (name: string) => string | undefined): SystemDefaults {
  const number = (name: string) => parseSysctl(read(name) ?? '')
  return {
    initialDelay: seconds(number('ipv4/tcp_keepalive_time')),
    interval: seconds(number('ipv4/tcp_keepalive_intvl')),
    count: number('ipv4/tcp_keepalive_probes'),
    synCount: number('ipv4/tcp_syn_retries'),
    rtoMax: number('ipv4/tcp_rto_max_ms'),
    rtoMin: microseconds(number('ipv4/tcp_rto_min_us')),
    retries1: number('ipv4/tcp_retries1'),
    retries2: number('ipv4/tcp_retries2'),
    synackRetries: number('ipv4/tcp_synack_retries'),
    synLinearTimeouts: number('ipv4/tcp_syn_linear_timeouts'),
    orphanRetries: number('ipv4/tcp_orphan_retries'),
    finTimeout: seconds(number('ipv4/tcp_fin_timeout')),
    invalidRatelimit: number('ipv4/tcp_invalid_ratelimit'),
    netdevMaxBacklog: number('core/netdev_max_backlog'),
  }
}

function namesAskedFor(): string[] {
  const names: string[] = []
  defaultsFrom((name) => {
    names.push(name)
    return undefined
  })
  return names
}

function readHere(name: string): string | undefined {
  return readProcFile(`/proc/sys/net/${name}`)
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
  for (const [field, value] of Object.entries({ values, defaults })) {
    if (typeof value === 'object' && value !== null) continue
    throw new InvalidTypeError(`${field} must be an object of options, in ms.`, { field })
  }
  const all: OptionValues = { ...fixedDefaults, ...withoutUndefined(defaults) }
  return optionNames.filter((name) => values[name] !== undefined && values[name] === all[name])
}

function withoutUndefined(defaults: Partial<OptionDefaults>): OptionValues {
  return Object.fromEntries(Object.entries(defaults).filter(([, value]) => value !== undefined))
}

function seconds(n: number | undefined): number | undefined {
  return n === undefined ? undefined : n * 1000
}

function microseconds(n: number | undefined): number | undefined {
  return n === undefined ? undefined : n / 1000
}

/** One whole number and the end of the line; `undefined` for anything else. Pure. */
export function parseSysctl(text: string): number | undefined {
  return /^-?\d{1,15}\n?$/.test(text) ? Number(text) : undefined
}
