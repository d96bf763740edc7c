import type { DeadpeerError } from '../errors.js'
import { failureError } from './failure.js'
import { pidOf } from './network-namespace.js'
import { readProcFile, requireLinux } from './proc-file.js'
import { parseSnmp, parseSnmp6, parseSockstat, type Table } from './proc-net.js'

/** Counters by the kernel's names. A counter that this kernel does not have is `undefined`, never 0. */
export interface CounterGroup {
  readonly [name: string]: number | undefined
}

/**
 * The groups of `/proc/net/{snmp,netstat,snmp6,sockstat,sockstat6}`, proc(5). nstat(8) prints group and name as one word. Groups that only
 * other kernels have are included too.
 */
export interface CounterGroups {
  /** TCP, RFC 4022: `RetransSegs`, `OutRsts`, `CurrEstab`, … */
  readonly Tcp: CounterGroup
  /** Linux's own counters of TCP: `TCPKeepAlive`, `TCPAbortOnTimeout`, … Empty if the kernel has no `netstat`. */
  readonly TcpExt: CounterGroup
  /** IPv4: `InReceives`, `OutNoRoutes`, … */
  readonly Ip?: CounterGroup
  /** Linux's own counters of IP, in octets and packets. */
  readonly IpExt?: CounterGroup
  /** ICMP: `InDestUnreachs`, `OutMsgs`, … */
  readonly Icmp?: CounterGroup
  /** ICMP by type: only types that have occurred. */
  readonly IcmpMsg?: CounterGroup
  /** UDP, RFC 4113. */
  readonly Udp?: CounterGroup
  /** UDP-Lite. */
  readonly UdpLite?: CounterGroup
  /** Multipath TCP. */
  readonly MPTcpExt?: CounterGroup
  /** IPv6, of `snmp6`: `Ip6InReceives` is `Ip6.InReceives`. Without IPv6, all groups of `snmp6` and `sockstat6` are missing. */
  readonly Ip6?: CounterGroup
  /** ICMPv6. */
  readonly Icmp6?: CounterGroup
  /** UDP over IPv6. */
  readonly Udp6?: CounterGroup
  /** UDP-Lite over IPv6. */
  readonly UdpLite6?: CounterGroup
  /** All sockets, of `sockstat`: `used`. */
  readonly sockets?: CounterGroup
  /** TCP sockets, of `sockstat`: `inuse`, `orphan`, `tw`, `alloc`; `mem` in pages. */
  readonly TCP?: CounterGroup
  /** UDP sockets, of `sockstat`: `inuse`; `mem` in pages. */
  readonly UDP?: CounterGroup
  /** UDP-Lite sockets, of `sockstat`: `inuse`. */
  readonly UDPLITE?: CounterGroup
  /** Raw sockets, of `sockstat`: `inuse`. */
  readonly RAW?: CounterGroup
  /** IPv4 packets with missing fragments, of `sockstat`: `inuse`; `memory` in bytes. */
  readonly FRAG?: CounterGroup
  /** TCP sockets of IPv6, of `sockstat6`: `inuse`. */
  readonly TCP6?: CounterGroup
  /** UDP sockets of IPv6, of `sockstat6`: `inuse`. */
  readonly UDP6?: CounterGroup
  /** UDP-Lite sockets of IPv6, of `sockstat6`: `inuse`. */
  readonly UDPLITE6?: CounterGroup
  /** Raw sockets of IPv6, of `sockstat6`: `inuse`. */
  readonly RAW6?: CounterGroup
  /** IPv6 packets with missing fragments, of `sockstat6`: `inuse`; `memory` in bytes. */
  readonly FRAG6?: CounterGroup
}

/** The counters of one network namespace. Plain data: it can be stored or sent to another thread. */
export interface Counters extends CounterGroups {
  /** When they were read, in ms of the system's monotonic clock. All processes of the host share that clock. */
  readonly time: number
}

/** Which network namespace to read. */
export interface CountersOptions {
  /** The id of a process in the network namespace to read. Default: the namespace of the calling thread. */
  readonly pid?: number
}

const files = { netstat: parseSnmp, snmp6: parseSnmp6, sockstat: parseSockstat, sockstat6: parseSockstat }

/**
 * Reads the kernel's counters of a network namespace: the caller's, or that of another process. It needs no privileges and no
 * native core. It is synchronous and takes 0.3 ms.
 *
 * The kernel's counters have 64 bits. Values above 2^53 are rounded; only byte counters get that high. The files are read one after the
 * other, so an event in between may show in one file only.
 *
 * @throws {@link InvalidTypeError}, {@link OutOfRangeError} for a bad `pid`.
 * @throws {@link DeadpeerError} `ESRCH` if the process has ended or is not visible; `ENOENT` if there is no /proc/net; `EACCES` or `EPERM` if
 * reading is forbidden; `ERR_UNSUPPORTED_PLATFORM` if the system is not Linux.
 * @example
 * ```ts
 * const counters = readCounters({ pid: 4711 })
 * console.log(counters.TcpExt.TCPKeepAlive, counters.Tcp.RetransSegs)
 * ```
 */
export function readCounters(options: CountersOptions = {}): Counters {
  const pid = pidOf(options, 'readCounters()')
  requireLinux('readCounters')
  const folder = `/proc/${pid ?? 'thread-self'}/net`
  const counters = collectCounters((file) => readProcFile(`${folder}/${file}`), monotonicTime())
  if (!counters) throw notThere(pid)
  return counters
}

/** Combines the groups of all files. `undefined` if `snmp` is missing. */
export function collectCounters(
  read: (file: string) => string | undefined,
  time: number,
): Counters | undefined {
  const tables = Object.entries(files).map(([file, parse]) => parse(read(file) ?? ''))
  // Read last. If it can be read, the process existed while the other files were read. A missing file is then one that this kernel does not have.
  const snmp = read('snmp')
  if (snmp === undefined) return undefined
  const groups = [parseSnmp(snmp), ...tables].flatMap(toGroups)
  return Object.fromEntries<unknown>([
    ['Tcp', {}],
    ['TcpExt', {}],
    ...groups,
    ['time', time],
  ]) as unknown as Counters
}

function toGroups(table: Table): [string, CounterGroup][] {
  return [...table].map(([group, counters]) => [group, Object.fromEntries(counters)])
}

/** CLOCK_MONOTONIC, not performance.now(): that starts at 0 in each thread. */
function monotonicTime(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

const ENOENT = -2
const ESRCH = -3

function notThere(pid: number | undefined): DeadpeerError {
  const failure = { errno: pid === undefined ? ENOENT : ESRCH, syscall: 'open' }
  const details = pid === undefined ? {} : { field: 'pid' }
  return failureError(
    failure,
    (name, words) =>
      pid === undefined
        ? `/proc/net is missing: ${words} (${name}). Mount proc, without the option subset=pid.`
        : `There is no process ${pid} (${name}), or proc hides it (hidepid).`,
    details,
  )
}
