import type { NativeCore, NativeRefusal } from './binding.js'
import { OWN_NAMESPACE } from './network-namespace.js'

/** What shows whether a peer answers. Times in ms, on the kernel's coarse clock. */
export interface Sample {
  /** As {@link TcpState} names them. */
  readonly state: number
  /** Unanswered probes, of keepalive or of a closed window. */
  readonly probes: number
  /** Retransmissions by timeout of the oldest unacknowledged segment. */
  readonly retransmits: number
  /** Segments sent and not acknowledged. */
  readonly unacked: number
  /** Bytes queued and not sent yet. */
  readonly notSent: number
  /** When this was read. */
  readonly sampledAt: number
  /** When the peer was last heard. */
  readonly heardAt: number
  /** Retransmission timeout. */
  readonly rto: number
}

/** The options that decide what keepalive does, in a profile's units. */
export interface Keepalive {
  readonly enable: boolean
  readonly initialDelay: number
  readonly interval: number
  readonly count: number
  /** `undefined` where the socket does not have it (MPTCP). */
  readonly userTimeout: number | undefined
}

/** A sample, and the options that the socket has. */
export interface SampleWithOptions {
  readonly sample: Sample
  readonly options: Keepalive
}

/** A socket by its number and its cookie: the number may be another socket's by now. */
export interface SocketName {
  readonly fd: number
  readonly cookie: bigint
  /** Whether it cannot be: the number has just been read from the handle that owns it. */
  readonly isCertain?: boolean
}

export interface KeepaliveWrite {
  readonly socket: SocketName
  /** What the socket has, for a roll-back. */
  readonly before: Keepalive
  /** What it is to have. What is the same is not written. */
  readonly wanted: Keepalive
}

const noRefusals: readonly undefined[] = []

const SAMPLE_COLUMNS = 9
const OPTION_COLUMNS = 5
const INITIAL_DELAY = 1

/** What goes to the native core and comes back from it, kept from call to call: making these takes longer than a sample. */
let room = 0
let fds: Int32Array
let cookies: BigUint64Array
let results: Float64Array
let errors: Float64Array
let looks: Float64Array
let options: Float64Array
let wanted: Float64Array

function makeRoom(count: number): void {
  if (count <= room) return
  room = Math.max(64, count)
  fds = new Int32Array(room)
  cookies = new BigUint64Array(room)
  results = new Float64Array(room)
  errors = new Float64Array(room)
  looks = new Float64Array(room * SAMPLE_COLUMNS)
  options = new Float64Array(room * OPTION_COLUMNS)
  wanted = new Float64Array(room * OPTION_COLUMNS)
}

export interface Identity {
  readonly cookie: bigint
  /** As {@link TcpState} names them. */
  readonly state: number
}

/** Which sockets descriptors are; -errno for what is no TCP socket. */
export function identify(core: NativeCore, numbers: readonly number[]): (Identity | number)[] {
  makeRoom(numbers.length)
  fds.set(numbers)
  core.identify(numbers.length, fds, cookies, results, errors)
  return numbers.map((_, i) => errors[i]! || { cookie: cookies[i]!, state: results[i]! })
}

/** Samples many sockets, one result each: a sample or -errno; ESTALE for a number that is another socket's by now. */
export function sampleAll(core: NativeCore, sockets: readonly SocketName[]): (Sample | number)[] {
  const uncertain = nameUncertain(sockets)
  core.look(sockets.length, fds, uncertain, looks)
  return sockets.map((_, i) => decodeSample(looks, i))
}

/** The same, with the options that the socket has. */
export function sampleWithOptions(
  core: NativeCore,
  sockets: readonly SocketName[],
): (SampleWithOptions | number)[] {
  const uncertain = nameUncertain(sockets)
  core.look(sockets.length, fds, uncertain, looks, options)
  return sockets.map((_, i) => {
    const sample = decodeSample(looks, i)
    return typeof sample === 'number' ? sample : { sample, options: decodeOptions(options, i) }
  })
}

/**
 * In how many ms the keepalive timers of many sockets are due; `undefined` where that is not told.
 *
 * @param pid a process in the network namespace that they are in; `undefined`: the caller's.
 */
export function readKeepaliveTimers(
  core: NativeCore,
  sockets: readonly SocketName[],
  pid: number | undefined,
): (number | undefined)[] {
  name(sockets)
  core.readKeepaliveTimers(pid ?? OWN_NAMESPACE, sockets.length, fds, cookies, results)
  return sockets.map((_, i) => (Number.isNaN(results[i]!) ? undefined : results[i]!))
}

/**
 * Writes options of many sockets that have just been looked at, all or none of each. Returns refusals by index; most often none. `asks`: initialDelay goes
 * last, so that all that a probe's fate depends on is in place before it, and is written also where it is the same, since writing it is
 * the question. Else it goes first.
 */
export function writeKeepalive(
  core: NativeCore,
  writes: readonly KeepaliveWrite[],
  asks: boolean,
): readonly (NativeRefusal | undefined)[] {
  makeRoom(writes.length)
  writes.forEach((write, i) => {
    fds[i] = write.socket.fd
    encodeChange(write, asks, options, wanted, i * OPTION_COLUMNS)
  })
  const refused = core.writeKeepalive(writes.length, fds, options, wanted, asks)
  if (!refused) return noRefusals
  const refusals = new Array<NativeRefusal | undefined>(writes.length)
  for (const { index, refusal } of refused) refusals[index] = refusal
  return refusals
}

function name(sockets: readonly SocketName[]): void {
  makeRoom(sockets.length)
  for (let i = 0; i < sockets.length; i++) {
    fds[i] = sockets[i]!.fd
    cookies[i] = sockets[i]!.cookie
  }
}

/** Reading the cookie costs as much as a sample. */
function nameUncertain(sockets: readonly SocketName[]): BigUint64Array | undefined {
  if (!sockets.every(({ isCertain }) => isCertain)) {
    name(sockets)
    return cookies
  }
  makeRoom(sockets.length)
  for (let i = 0; i < sockets.length; i++) fds[i] = sockets[i]!.fd
  return undefined
}

function decodeSample(looks: Float64Array, i: number): Sample | number {
  const at = i * SAMPLE_COLUMNS
  if (looks[at]! < 0) return looks[at]!
  return {
    state: looks[at + 1]!,
    probes: looks[at + 2]!,
    retransmits: looks[at + 3]!,
    unacked: looks[at + 4]!,
    notSent: looks[at + 5]!,
    sampledAt: looks[at + 6]!,
    heardAt: looks[at + 7]!,
    rto: looks[at + 8]!,
  }
}

function decodeOptions(options: Float64Array, i: number): Keepalive {
  const at = i * OPTION_COLUMNS
  const userTimeout = options[at + 4]!
  return {
    enable: options[at] !== 0,
    initialDelay: options[at + 1]!,
    interval: options[at + 2]!,
    count: options[at + 3]!,
    userTimeout: Number.isNaN(userTimeout) ? undefined : userTimeout,
  }
}

function encodeChange(
  { before, wanted: to }: KeepaliveWrite,
  asks: boolean,
  befores: Float64Array,
  wanteds: Float64Array,
  at: number,
): void {
  encodeOptions(before, befores, at)
  encodeOptions(to, wanteds, at)
  for (let i = at; i < at + OPTION_COLUMNS; i++) {
    if (wanteds[i] === befores[i] && !(asks && i === at + INITIAL_DELAY)) wanteds[i] = Number.NaN
  }
}

/** In the order in which {@link decodeOptions} has them. NaN is for what the socket does not have. */
function encodeOptions(keepalive: Keepalive, row: Float64Array, at: number): void {
  row[at] = Number(keepalive.enable)
  row[at + INITIAL_DELAY] = keepalive.initialDelay
  row[at + 2] = keepalive.interval
  row[at + 3] = keepalive.count
  row[at + 4] = keepalive.userTimeout ?? Number.NaN
}
