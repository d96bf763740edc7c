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

/** What native/binding offers. A negative number is a refusal; see kernel/options.ts. */
export interface NativeCore {
  options: NativeOptionRow[]
  HELD: number
  compile(mask: number, values: Float64Array): NativeProfile | number
  rehearse(profile: NativeProfile): number
  tune(fd: number, profile: NativeProfile, heardAt: number): number
  tuneMany(fds: Int32Array, profile: NativeProfile, heardAtThenResults: Float64Array): void
  apply(fd: number, profile: NativeProfile): number
  readOptions(fd: number, values: Float64Array): number
  /** In the kernel's own units; the option by its place in the table. */
  getOption(fd: number, option: number): number
  setOption(fd: number, option: number, value: number): number
  readTcpInfo(fd: number, bytes: Uint8Array): number
  sampleTcpInfo(fds: Int32Array, count: number, places: Uint32Array, out: Float64Array): void
  readCookie(fd: number): bigint | number
  /** A state each, or -errno. */
  identify(count: number, fds: Int32Array, cookies: BigUint64Array, states: Float64Array): void
  /** A row a socket, as kernel/liveness.ts decodes them. Without cookies it is not asked which sockets these are. */
  look(
    count: number,
    fds: Int32Array,
    cookies: BigUint64Array | undefined,
    looks: Float64Array,
    options?: Float64Array,
  ): void
  writeKeepalive(
    count: number,
    fds: Int32Array,
    before: Float64Array,
    wanted: Float64Array,
    asks: boolean,
    results: Float64Array,
  ): void
  /** In how many ms they are due, or -errno. */
  readKeepaliveTimers(count: number, fds: Int32Array, cookies: BigUint64Array, results: Float64Array): void
  /** A port of -1 and an address of no bytes stand for any. The callback gets a refusal, or the records. */
  dumpSockets(
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
    callback: (result: ArrayBuffer | number, length: number, interrupted: boolean) => void,
  ): NativeDump
  cancelDump(dump: NativeDump): void
  /** Strings that each end with NUL. Returns only where it failed. */
  exec(args: Uint8Array, lastDescriptor: number): number
  lose(fd: number, share: number): number
  undeafen(fd: number): number
  readDrops(fd: number): number
  borrow(pid: number, fd: number): NativeDescriptor | number
  borrowedNumber(borrowed: NativeDescriptor): number
  giveBack(borrowed: NativeDescriptor): void
  /** Of sockets of one process; a row of values each, and a refusal as `borrow` has it, or 0. */
  readOptionsOf(
    pid: number,
    fds: Int32Array,
    cookies: BigUint64Array,
    values: Float64Array,
    results: Float64Array,
  ): void
  /** What the callback throws is lost: it must throw nothing. */
  openDeathwatch(
    callback: (id: number, peerClosed: boolean, failed: boolean, unread: number, info: Uint8Array) => void,
  ): NativeDeathwatch | number
  watchDescriptor(deathwatch: NativeDeathwatch, fd: number): number
  unwatch(deathwatch: NativeDeathwatch, id: number): void
  /** `-errno`, or 0 where the connection has not ended or has no error. */
  takeSocketError(fd: number): number
  destroySocket(
    localAddress: string,
    localPort: number,
    remoteAddress: string,
    remotePort: number,
    networkInterface: number,
    cookie: bigint,
  ): number
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
