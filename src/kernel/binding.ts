import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { DeadpeerError } from '../errors.js'

/** A profile in the native core's form. Opaque here. */
export type NativeProfile = { readonly __native: unique symbol }

/** A descriptor that the native core owns. It is closed when it is given back, or else with the environment. */
export type NativeDescriptor = { readonly __native: unique symbol }

/** A dump under way. Opaque here. */
export type NativeDump = { readonly __native: unique symbol }

/** The thread that watches for deaths. Opaque here. */
export type NativeDeathwatch = { readonly __native: unique symbol }

export interface NativeOptionRow {
  name: string
  constant: string
  unit: number
  min: number
  max: number
}

/** A call that failed. Without `syscall` the call is known, or the kernel carried it out and answered with the error. */
export interface NativeFailure {
  /** Negative. */
  readonly errno: number
  readonly syscall?: string
}

/** An option that the kernel refused. Without `option` the descriptor itself is at fault. */
export interface NativeRefusal extends NativeFailure {
  readonly option?: string
  /** Fields of the profile that were written before it and could not be taken back. */
  readonly written: readonly string[]
}

/** A connection to which not all was written. */
export interface NotTuned {
  /** Nothing was written: it might end the connection as it is. */
  readonly held: boolean
  readonly refusal: NativeRefusal | undefined
}

/** One end of a connection. */
export interface NativeEnd {
  readonly port: number
  /** 4 or 16 bytes. */
  readonly address: Uint8Array
}

/** What one end must be: a port of -1 and an address of no bytes stand for any. */
export interface NativeCondition extends NativeEnd {
  readonly prefixLength: number
}

/** Which TCP sockets to list: of the network namespace of process `pid`, 0 being the caller's. */
export interface NativeQuery {
  readonly pid: number
  readonly ipv4: boolean
  readonly ipv6: boolean
  /** One bit for each state: 1 << its number in tcp_info. */
  readonly states: number
  readonly withInfo: boolean
  readonly local: NativeCondition
  readonly remote: NativeCondition
}

/** A TCP socket in the network namespace of process `pid`, 0 being the caller's. */
export interface NativeSocketId {
  readonly pid: number
  readonly local: NativeEnd
  readonly remote: NativeEnd
  readonly interface: number
  readonly cookie: bigint
}

/** Of one socket among many. */
type Of<Result> = Result & { readonly index: number }

/**
 * What native/binding offers. A call that can fail returns its value, or a {@link NativeFailure} in its place; without a value it returns
 * `undefined` or the failure. Results for many sockets go into the caller's typed arrays.
 */
export interface NativeCore {
  options: NativeOptionRow[]
  /** NaN is a value that is not set. */
  compile(values: Float64Array): NativeProfile | NativeRefusal
  rehearse(profile: NativeProfile): NativeRefusal | undefined
  /**
   * @param heardAt when the peer is known to have been heard, in ms of the kernel's monotonic clock; -Infinity where it is not.
   * @returns when it was last heard, NaN where the kernel was not asked; or why not all was written.
   */
  tune(fd: number, profile: NativeProfile, heardAt: number): number | NotTuned
  /** Those to which not all was written. The elements of `heardAt` become what `tune` returns. */
  tuneMany(fds: Int32Array, profile: NativeProfile, heardAt: Float64Array): Of<NotTuned>[] | undefined
  /** Whether `tune` would hold it now, where the caller does not know when the peer was heard. Writes nothing. */
  wouldHold(fd: number, profile: NativeProfile): boolean
  apply(fd: number, profile: NativeProfile): NativeRefusal | undefined
  /** NaN is a value that the socket does not have. */
  readOptions(fd: number, values: Float64Array): NativeFailure | undefined
  /** In the kernel's own unit; the option by its place in the table. */
  getOption(fd: number, option: number): number | NativeFailure
  setOption(fd: number, option: number, value: number): NativeFailure | undefined
  /** How many bytes were filled in. */
  readTcpInfo(fd: number, bytes: Uint8Array): number | NativeFailure
  /** One row of `out` for each socket; NaN for what cannot be read. */
  sampleTcpInfo(fds: Int32Array, count: number, places: Uint32Array, out: Float64Array): void
  /** The bytes become the addresses that connection/endpoints.ts decodes. */
  readAddresses(fd: number, bytes: Uint8Array): NativeFailure | undefined
  readCookie(fd: number): bigint | NativeFailure
  /** Which network namespace a socket is in. */
  readNetworkCookie(fd: number): bigint | NativeFailure
  /** The network namespace of the calling thread. */
  readOwnNetworkCookie(): bigint | NativeFailure
  /** What a process in the network namespace of `pid` reads there; one failure alone where that cannot be entered. */
  readFilesFor(pid: number, paths: readonly string[]): (string | NativeFailure)[] | NativeFailure
  /** The same in the network namespace that a socket is in. */
  readFilesForSocket(fd: number, paths: readonly string[]): (string | NativeFailure)[] | NativeFailure
  /** An error each, 0 or -errno. */
  identify(
    count: number,
    fds: Int32Array,
    cookies: BigUint64Array,
    states: Float64Array,
    errors: Float64Array,
  ): void
  /** A row a socket, as kernel/liveness.ts decodes them. Without cookies it is not asked which sockets these are. */
  look(
    count: number,
    fds: Int32Array,
    cookies: BigUint64Array | undefined,
    looks: Float64Array,
    options?: Float64Array,
  ): void
  /** Those that were refused. */
  writeKeepalive(
    count: number,
    fds: Int32Array,
    before: Float64Array,
    wanted: Float64Array,
    asks: boolean,
  ): Of<{ readonly refusal: NativeRefusal }>[] | undefined
  /** In how many ms they are due; NaN where that is not told. Of sockets in the network namespace of process `pid`; 0 is the caller's. */
  readKeepaliveTimers(
    pid: number,
    count: number,
    fds: Int32Array,
    cookies: BigUint64Array,
    due: Float64Array,
  ): void
  /** The callback gets a failure, or the records. */
  dumpSockets(
    query: NativeQuery,
    callback: (result: ArrayBuffer | NativeFailure, length: number, interrupted: boolean) => void,
  ): NativeDump
  cancelDump(dump: NativeDump): void
  destroySocket(socket: NativeSocketId): NativeFailure | undefined
  /** Strings that each end with NUL. Returns only where it failed. */
  exec(args: Uint8Array, lastDescriptor: number): NativeFailure
  lose(fd: number, share: number): NativeFailure | undefined
  undeafen(fd: number): NativeFailure | undefined
  readDrops(fd: number): number | NativeFailure
  borrow(pid: number, fd: number): NativeDescriptor | NativeFailure
  borrowedNumber(borrowed: NativeDescriptor): number
  giveBack(borrowed: NativeDescriptor): void
  /** One row of values for each socket of one process. Returns those that failed. */
  readOptionsOf(
    pid: number,
    fds: Int32Array,
    cookies: BigUint64Array,
    values: Float64Array,
  ): Of<NativeFailure>[] | undefined
  /** The callback gets the events of epoll_ctl(2). It must not throw: an exception would be lost. */
  openDeathwatch(
    callback: (id: number, events: number, unread: number, info: Uint8Array) => void,
  ): NativeDeathwatch | NativeFailure
  /** Returns an id. */
  watchDescriptor(deathwatch: NativeDeathwatch, fd: number): number | NativeFailure
  unwatch(deathwatch: NativeDeathwatch, id: number): void
  /** `SO_ERROR` as -errno. `undefined` without one, and where the connection has not ended. */
  takeSocketError(fd: number): number | undefined
}

let loaded: { core: NativeCore } | { core: undefined; reason: string } | undefined

/** node-gyp-build recognizes musl by a file that only Alpine has; other systems must set LIBC. It reads LIBC when it is loaded. */
function load(require: NodeJS.Require): NativeCore {
  const mustSetLibc = process.env.LIBC === undefined && isMusl()
  if (mustSetLibc) process.env.LIBC = 'musl'
  try {
    const find = require('node-gyp-build') as (root: string) => NativeCore
    return find(dirname(require.resolve('deadpeer/package.json')))
  } finally {
    if (mustSetLibc) delete process.env.LIBC
  }
}

/**
 * Whether this runtime is linked with musl; there may be a musl beside glibc. The runtime's own report tells, and takes milliseconds: so it is read
 * only where there is a musl at all, and without its sockets, whose names it would look up one by one.
 */
function isMusl(): boolean {
  if (!filesIn('/lib').some((name) => name.startsWith('ld-musl-'))) return false
  // From Node 20.13 on.
  const report = process.report as typeof process.report & { excludeNetwork: boolean }
  const { excludeNetwork } = report
  report.excludeNetwork = true
  try {
    const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } }
    return header.glibcVersionRuntime === undefined
  } finally {
    report.excludeNetwork = excludeNetwork
  }
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function open(): NonNullable<typeof loaded> {
  if (process.env.DEADPEER_NATIVE === 'off') {
    return { core: undefined, reason: 'switched off by DEADPEER_NATIVE=off' }
  }
  if (process.platform !== 'linux') {
    return { core: undefined, reason: `there is no native core for ${process.platform} yet` }
  }
  if (process.versions.deno) {
    return { core: undefined, reason: 'Deno does not show the descriptors of its sockets' }
  }
  try {
    return { core: load(createRequire(import.meta.url)) }
  } catch (error) {
    return { core: undefined, reason: (error as Error).message }
  }
}

/** Loaded at first use, so that importing costs nothing. */
export function nativeCore(): NativeCore | undefined {
  loaded ??= open()
  return loaded.core
}

/** Why there is no native core, where there is none. */
export function missingReason(): string | undefined {
  loaded ??= open()
  return loaded.core ? undefined : loaded.reason
}

/**
 * The native core, for what cannot be done without it.
 *
 * @param what begins the message: `Listing sockets`.
 * @throws {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM`.
 */
export function requireCore(what: string): NativeCore {
  const core = nativeCore()
  if (core) return core
  throw new DeadpeerError('ERR_UNSUPPORTED_PLATFORM', `${what} needs the native core: ${missingReason()}.`)
}
