import type { DeadpeerError } from '../errors.js'
import { failureError } from './failure.js'
import { pidOf } from './network-namespace.js'
import { readProcFile, requireLinux } from './proc-file.js'
import { parseSnmp, parseSnmp6, parseSockstat, type Table } from './proc-net.js'

/** Numbers by the kernel's names. What this kernel does not count is `undefined`, never 0. */
export interface CounterGroup {
  readonly [name: string]: number | undefined
}

/**
 * The groups of `/proc/net/{snmp,netstat,snmp6,sockstat,sockstat6}`, proc(5), as the files have them. Group and name,
 * written together, are what nstat(8) prints. A group beyond these, of another kernel, is there as well.
 */
export interface CounterGroups {
  /** TCP, RFC 4022: `RetransSegs`, `OutRsts`, `CurrEstab`, … */
  readonly Tcp: CounterGroup
  /** Linux's own counters of TCP: `TCPKeepAlive`, `TCPAbortOnTimeout`, … Empty where the kernel has no `netstat`. */
  readonly TcpExt: CounterGroup
  /** IPv4: `InReceives`, `OutNoRoutes`, … */
  readonly Ip?: CounterGroup
  /** Linux's own counters of IP, in octets and packets. */
  readonly IpExt?: CounterGroup
  /** ICMP: `InDestUnreachs`, `OutMsgs`, … */
  readonly Icmp?: CounterGroup
  /** ICMP by type: only types that have been seen. */
  readonly IcmpMsg?: CounterGroup
  /** UDP, RFC 4113. */
  readonly Udp?: CounterGroup
  /** UDP-Lite. */
  readonly UdpLite?: CounterGroup
  /** Multipath TCP. */
  readonly MPTcpExt?: CounterGroup
  /** IPv6, of `snmp6`: `Ip6InReceives` is `Ip6.InReceives`. Without IPv6 these five are not there. */
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
  /** Fragments that wait for the rest, of `sockstat`: `inuse`; `memory` in bytes. */
  readonly FRAG?: CounterGroup
  /** TCP sockets of IPv6, of `sockstat6`: `inuse`. */
  readonly TCP6?: CounterGroup
  /** UDP sockets of IPv6, of `sockstat6`: `inuse`. */
  readonly UDP6?: CounterGroup
  /** UDP-Lite sockets of IPv6, of `sockstat6`: `inuse`. */
  readonly UDPLITE6?: CounterGroup
  /** Raw sockets of IPv6, of `sockstat6`: `inuse`. */
  readonly RAW6?: CounterGroup
  /** Fragments of IPv6, of `sockstat6`: `inuse`; `memory` in bytes. */
  readonly FRAG6?: CounterGroup
}

/** The counters of one network namespace. Plain data: it may be stored, or sent to another thread. */
export interface Counters extends CounterGroups {
  /** When they were read: ms on the system's monotonic clock, the same in every process of the host. */
  readonly time: number
}

/** Whose counters. */
export interface CountersOptions {
  /** A process in the network namespace that is meant. Default: the namespace of the calling thread. */
  readonly pid?: number
}

const files = { netstat: parseSnmp, snmp6: parseSnmp6, sockstat: parseSockstat, sockstat6: parseSockstat }

/**
 * Reads what the kernel counts for a network namespace, of one's own or of another process. It needs no privileges and no
 * native core, and is synchronous: it takes 0.3 ms.
 *
 * Numbers are the kernel's 64-bit ones; beyond 2^53 (bytes, at most) they are rounded. The files are read one after the other,
 * so what moves meanwhile may be in one and not yet in another.
 *
 * @throws {@link InvalidTypeError}, {@link OutOfRangeError} for a bad `pid`.
 * @throws {@link DeadpeerError} `ESRCH` where there is no such process to be seen, or it has ended; `ENOENT` where there is
 * no /proc/net; `EACCES` or `EPERM` where it is forbidden; `ERR_UNSUPPORTED_PLATFORM` where there is no Linux.
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

/** Puts the files' groups together; `undefined` where there is not even `snmp`. */
export function collectCounters(
  read: (file: string) => string | undefined,
  time: number,
): Counters | undefined {
  const tables = Object.entries(files).map(([file, parse]) => parse(read(file) ?? ''))
  // The last: where it is to be read, the process was there for the others too, and what is missing is not the kernel's.
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

/** CLOCK_MONOTONIC, and not performance.now(), which begins anew in each thread. */
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
        ? `There is no /proc/net: ${words} (${name}); is proc mounted, and without subset=pid?`
        : `There is no process ${pid} to be seen: ${words} (${name}). It has ended, or proc hides it (hidepid).`,
    details,
  )
}
