import { isAbsolute } from 'node:path'
import { DeadpeerError } from '../errors.js'
import { loadBinary } from './binary.js'

/** A profile in the native core's form. Opaque here. */
export type NativeProfile = { readonly __native: unique symbol }

/** A descriptor that the native core owns. It is closed by `giveBack`, at the latest when the environment ends. */
export type NativeDescriptor = { readonly __native: unique symbol }

/** A running dump. Opaque here. */
export type NativeDump = { readonly __native: unique symbol }

/** The thread that waits for kernel events of watched connections. Opaque here. */
export type NativeDeathwatch = { readonly __native: unique symbol }

export interface NativeOptionRow {
  name: string
  constant: string
  unit: number
  min: number
  max: number
}

/** A failed call. `syscall` is left out if the caller knows it, or if the kernel replied with the error by netlink. */
export interface NativeFailure {
  /** Negative. */
  readonly errno: number
  readonly syscall?: string
}

/** An option that the kernel refused. Without `option`, the kernel refused the descriptor itself. */
export interface NativeRefusal extends NativeFailure {
  readonly option?: string
  /** Fields of the profile that were written before it and could not be rolled back. */
  readonly written: readonly string[]
}

/** A connection that did not get all options. */
export interface NotTuned {
  /** Nothing was written, because the options could end the connection now. */
  readonly held: boolean
  readonly refusal: NativeRefusal | undefined
}

/** One end of a connection. */
export interface NativeEnd {
  readonly port: number
  /** 4 or 16 bytes. */
  readonly address: Uint8Array
}

/** A condition on one end. Port -1 and an empty address match any. */
export interface NativeCondition extends NativeEnd {
  readonly prefixLength: number
}

/** Which TCP sockets to list, in the network namespace of process `pid`. 0: the caller's namespace. */
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

/** A TCP socket in the network namespace of process `pid`. 0: the caller's namespace. */
export interface NativeSocketId {
  readonly pid: number
  readonly local: NativeEnd
  readonly remote: NativeEnd
  readonly interface: number
  readonly cookie: bigint
}

/** A result for one socket of many. */
type Of<Result> = Result & { readonly index: number }

/**
 * The functions of native/binding. A call that can fail returns its value or a {@link NativeFailure}; a call without a value returns
 * `undefined` or the failure. Results for many sockets go into the caller's typed arrays.
 */
export interface NativeCore {
  options: NativeOptionRow[]
  /** NaN: the value is not set. */
  compile(values: Float64Array): NativeProfile | NativeRefusal
  rehearse(profile: NativeProfile): NativeRefusal | undefined
  /**
   * @param heardAt when the peer was last heard as far as the caller knows, in ms of the kernel's monotonic clock. -Infinity: not known.
   * @returns when the peer was last heard; NaN if the kernel's counters were not read. Or why not all options were written.
   */
  tune(fd: number, profile: NativeProfile, heardAt: number): number | NotTuned
  /** Returns the connections that did not get all options. The elements of `heardAt` become what `tune` returns. */
  tuneMany(fds: Int32Array, profile: NativeProfile, heardAt: Float64Array): Of<NotTuned>[] | undefined
  /** Whether `tune` would return `held` now for a caller that does not know when the peer was last heard. Writes nothing. */
  wouldHold(fd: number, profile: NativeProfile): boolean
  apply(fd: number, profile: NativeProfile): NativeRefusal | undefined
  /** NaN: the socket does not have the option. */
  readOptions(fd: number, values: Float64Array): NativeFailure | undefined
  /** In the kernel's own unit. `option` is an index into the table. */
  getOption(fd: number, option: number): number | NativeFailure
  setOption(fd: number, option: number, value: number): NativeFailure | undefined
  /** Returns the number of bytes that the kernel filled in. */
  readTcpInfo(fd: number, bytes: Uint8Array): number | NativeFailure
  /** One row of `out` for each socket. NaN: the field cannot be read. */
  sampleTcpInfo(fds: Int32Array, count: number, places: Uint32Array, out: Float64Array): void
  /** Fills `bytes` with the addresses. connection/endpoints.ts decodes them. */
  readAddresses(fd: number, bytes: Uint8Array): NativeFailure | undefined
  readCookie(fd: number): bigint | NativeFailure
  /** The network namespace of a socket. */
  readNetworkCookie(fd: number): bigint | NativeFailure
  /** The network namespace of the calling thread. */
  readOwnNetworkCookie(): bigint | NativeFailure
  /** The texts of files, read in the network namespace of process `pid`. A single failure if it cannot be entered. */
  readFilesFor(pid: number, paths: readonly string[]): (string | NativeFailure)[] | NativeFailure
  /** The texts of files, read in the network namespace of a socket. */
  readFilesForSocket(fd: number, paths: readonly string[]): (string | NativeFailure)[] | NativeFailure
  /** Fills `cookies`, `states` and `errors`: 0 or -errno for each socket. */
  identify(
    count: number,
    fds: Int32Array,
    cookies: BigUint64Array,
    states: Float64Array,
    errors: Float64Array,
  ): void
  /** One row for each socket; kernel/liveness.ts decodes them. Without `cookies`, the sockets' identities are not checked. */
  look(
    count: number,
    fds: Int32Array,
    cookies: BigUint64Array | undefined,
    samples: Float64Array,
    options?: Float64Array,
  ): void
  /** Returns the writes that the kernel refused. `asks`: writing initialDelay makes the kernel send a probe. */
  writeKeepalive(
    count: number,
    fds: Int32Array,
    before: Float64Array,
    wanted: Float64Array,
    asks: boolean,
  ): Of<{ readonly refusal: NativeRefusal }>[] | undefined
  /**
   * The times until the timers fire, ms; NaN if the kernel does not report one. The sockets are in the network namespace of process `pid`; 0: the
   * caller's.
   */
  readKeepaliveTimers(
    pid: number,
    count: number,
    fds: Int32Array,
    cookies: BigUint64Array,
    due: Float64Array,
  ): void
  /** The callback gets the records, or a failure. */
  dumpSockets(
    query: NativeQuery,
    callback: (result: ArrayBuffer | NativeFailure, length: number, interrupted: boolean) => void,
  ): NativeDump
  cancelDump(dump: NativeDump): void
  destroySocket(socket: NativeSocketId): NativeFailure | undefined
  /** `args`: strings that each end with NUL. Returns only if it failed. */
  exec(args: Uint8Array, lastDescriptor: number): NativeFailure
  lose(fd: number, share: number): NativeFailure | undefined
  ignoreProbes(fd: number): NativeFailure | undefined
  undeafen(fd: number): NativeFailure | undefined
  readDrops(fd: number): number | NativeFailure
  borrow(pid: number, fd: number): NativeDescriptor | NativeFailure
  borrowedNumber(borrowed: NativeDescriptor): number
  giveBack(borrowed: NativeDescriptor): void
  /** One row of values for each socket of one process. Returns the failures. */
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
  /** `SO_ERROR` as -errno. `undefined` if there is none, or if the connection has not ended. */
  takeSocketError(fd: number): number | undefined
}

let loaded: { core: NativeCore } | { core: undefined; reason: string; isRequired: boolean } | undefined

/** `DEADPEER_NATIVE`: `off`; `required`, or the path of a binary, if a missing core is an error. */
function open(): NonNullable<typeof loaded> {
  const wanted = process.env.DEADPEER_NATIVE || undefined
  const isRequired = wanted !== undefined && wanted !== 'off'
  const missing = (reason: string) => ({ core: undefined, reason, isRequired })
  if (wanted === 'off') return missing('switched off by DEADPEER_NATIVE=off')
  if (process.platform !== 'linux') return missing(`there is no native core for ${process.platform} yet`)
  if (process.versions.deno) return missing('Deno does not show the descriptors of its sockets')
  const path = wanted === 'required' ? undefined : wanted
  if (path !== undefined && !isAbsolute(path)) {
    return missing(`DEADPEER_NATIVE must be off, required, or the absolute path of a binary; got ${path}`)
  }
  try {
    return { core: loadBinary(path) as NativeCore }
  } catch (error) {
    return missing((error as Error).message.split('\n')[0]!)
  }
}

/** The native core, loaded on first use. `undefined` if it is not available, even if `DEADPEER_NATIVE` requires it. */
export function coreIfAvailable(): NativeCore | undefined {
  loaded ??= open()
  return loaded.core
}

/**
 * The native core, loaded on first use. `undefined` if it is not available.
 *
 * @throws {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM` if it is not available and `DEADPEER_NATIVE` requires it.
 */
export function nativeCore(): NativeCore | undefined {
  loaded ??= open()
  if (loaded.core) return loaded.core
  if (!loaded.isRequired) return undefined
  throw new DeadpeerError(
    'ERR_UNSUPPORTED_PLATFORM',
    `There is no native core, and DEADPEER_NATIVE=${process.env.DEADPEER_NATIVE} requires it: ${loaded.reason}.`,
  )
}

/** Why the native core is not available. `undefined` if it is. */
export function missingReason(): string | undefined {
  loaded ??= open()
  return loaded.core ? undefined : loaded.reason
}

/**
 * The native core, for calls that cannot work without it.
 *
 * @param what the first words of the error message: `Listing sockets`.
 * @throws {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM`.
 */
export function requireCore(what: string): NativeCore {
  const core = nativeCore()
  if (core) return core
  throw new DeadpeerError('ERR_UNSUPPORTED_PLATFORM', `${what} needs the native core: ${missingReason()}.`)
}
