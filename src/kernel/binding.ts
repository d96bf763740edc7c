import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { isMusl } from './libc.js'

/** A profile that the native core has taken over, opaque here. */
export type NativeProfile = { readonly __native: unique symbol }

/** A descriptor that the native core owns: closed when it is given back, or else with the environment. */
export type NativeDescriptor = { readonly __native: unique symbol }

/** A dump that the native core has under way, opaque here. */
export type NativeDump = { readonly __native: unique symbol }

/** The thread that watches for deaths, and its way here. */
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

/** An option that was refused, or, without one, the descriptor. */
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

/** A borrowing that failed, and in which of its system calls. */
export interface FailedCall extends NativeFailure {
  readonly call: number
}

/** Of one socket among many. */
type Of<Result> = Result & { readonly index: number }

/**
 * What native/binding offers. No number means two things: a call that returns a number on success returns an object where it failed, and
 * -errno alone comes only from calls that return nothing else, or something that is no number.
 */
export interface NativeCore {
  options: NativeOptionRow[]
  compile(
    mask: number,
    values: Float64Array,
  ): { readonly profile: NativeProfile; refusal?: undefined } | { readonly refusal: NativeRefusal }
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
  /** 0 or -errno. NaN is a value that the socket does not have. */
  readOptions(fd: number, values: Float64Array): number
  /** In the kernel's own units; the option by its place in the table. */
  getOption(fd: number, option: number): number | NativeFailure
  /** 0 or -errno. */
  setOption(fd: number, option: number, value: number): number
  /** How many bytes were filled in. */
  readTcpInfo(fd: number, bytes: Uint8Array): number | NativeFailure
  sampleTcpInfo(fds: Int32Array, count: number, places: Uint32Array, out: Float64Array): void
  /** 0 or -errno. The bytes become the addresses that connection/endpoints.ts decodes. */
  readAddresses(fd: number, bytes: Uint8Array): number
  readCookie(fd: number): bigint | number
  /** Which network namespace a socket is in; or -errno. */
  readNetworkCookie(fd: number): bigint | number
  /** That of the calling thread. */
  readOwnNetworkCookie(): bigint | number
  /** As `readFilesFor`, in the network namespace that a socket is in. */
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
  /**
   * In the network namespace of process `pid`; 0 is the caller's. A port of -1 and an address of no bytes stand for any. The callback gets a
   * failure, or the records.
   */
  dumpSockets(
    pid: number,
    ipv4: boolean,
    ipv6: boolean,
    states: number,
    withInfo: boolean,
    localPort: number,
    localAddress: Uint8Array,
    localPrefixLength: number,
    remotePort: number,
    remoteAddress: Uint8Array,
    remotePrefixLength: number,
    callback: (result: ArrayBuffer | NativeFailure, length: number, interrupted: boolean) => void,
  ): NativeDump
  cancelDump(dump: NativeDump): void
  /** Strings that each end with NUL. Returns only where it failed. */
  exec(args: Uint8Array, lastDescriptor: number): number
  /** 0 or -errno. */
  lose(fd: number, share: number): number
  /** 0 or -errno. */
  undeafen(fd: number): number
  readDrops(fd: number): number | NativeFailure
  borrow(pid: number, fd: number): { readonly borrowed: NativeDescriptor } | FailedCall
  borrowedNumber(borrowed: NativeDescriptor): number
  giveBack(borrowed: NativeDescriptor): void
  /** Of sockets of one process; a row of values each, an error, 0 or -errno, and the call that failed, as `borrow` has it. */
  readOptionsOf(
    pid: number,
    fds: Int32Array,
    cookies: BigUint64Array,
    values: Float64Array,
    errors: Int32Array,
    calls: Int32Array,
  ): void
  /** What the callback throws is lost: it must throw nothing. */
  openDeathwatch(
    callback: (id: number, peerClosed: boolean, failed: boolean, unread: number, info: Uint8Array) => void,
  ): NativeDeathwatch | number
  watchDescriptor(deathwatch: NativeDeathwatch, fd: number): number | NativeFailure
  unwatch(deathwatch: NativeDeathwatch, id: number): void
  /** `-errno`, or 0 where the connection has not ended or has no error. */
  takeSocketError(fd: number): number
  /** In the network namespace of process `pid`; 0 is the caller's. */
  destroySocket(
    pid: number,
    localAddress: string,
    localPort: number,
    remoteAddress: string,
    remotePort: number,
    networkInterface: number,
    cookie: bigint,
  ): NativeFailure | undefined
  /** What a process in the network namespace of `pid` reads there; one refusal alone where that cannot be entered. */
  readFilesFor(pid: number, paths: readonly string[]): (string | NativeFailure)[] | NativeFailure
}

let loaded: { core: NativeCore } | { core: undefined; reason: string } | undefined

/** node-gyp-build knows musl by a file of Alpine's, other systems that have it must say so. It reads LIBC when it is loaded. */
function load(require: NodeJS.Require): NativeCore {
  const isToBeTold = process.env.LIBC === undefined && isMusl()
  if (isToBeTold) process.env.LIBC = 'musl'
  try {
    const find = require('node-gyp-build') as (root: string) => NativeCore
    return find(dirname(require.resolve('deadpeer/package.json')))
  } finally {
    if (isToBeTold) delete process.env.LIBC
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
