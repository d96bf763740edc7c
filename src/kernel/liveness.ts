import type { NativeCore, NativeRefusal } from './binding.js'
import { OWN_NAMESPACE } from './network-namespace.js'

/** The counters that show whether a peer acknowledges. Times in ms, on the kernel's coarse clock. */
export interface Sample {
  /** A value of {@link TcpState}. */
  readonly state: number
  /** Unanswered probes, of keepalive or of a closed window. */
  readonly probes: number
  /** Retransmissions by timeout of the oldest unacknowledged segment. */
  readonly retransmits: number
  /** Segments sent and not acknowledged. */
  readonly unacked: number
  /** Bytes queued and not sent yet. */
  readonly notSent: number
  /** When the sample was taken. */
  readonly sampledAt: number
  /** When the peer was last heard. */
  readonly heardAt: number
  /** Retransmission timeout. */
  readonly rto: number
  /** When data was last sent or received. */
  readonly dataAt: number
}

/** The options that control keepalive, in a profile's units. */
export interface Keepalive {
  readonly enable: boolean
  readonly initialDelay: number
  readonly interval: number
  readonly count: number
  /** `undefined` if the socket does not have it (MPTCP). */
  readonly userTimeout: number | undefined
}

/** A sample, and the socket's options. */
export interface SampleWithOptions {
  readonly sample: Sample
  readonly options: Keepalive
}

/** A socket's descriptor and its cookie. The cookie shows whether the descriptor is still that socket. */
export interface SocketName {
  readonly fd: number
  readonly cookie: bigint
  /** Whether the descriptor was just read from its handle, and so is certainly that socket. */
  readonly isCertain?: boolean
}

export interface KeepaliveWrite {
  readonly socket: SocketName
  /** The socket's present options, for a rollback. */
  readonly before: Keepalive
  /** The options to write. Those that equal `before` are not written. */
  readonly wanted: Keepalive
}

const noRefusals: readonly undefined[] = []

const SAMPLE_COLUMNS = 10
const OPTION_COLUMNS = 5
const INITIAL_DELAY = 1

/** The arrays that are passed to the native core. They are reused: allocating them takes longer than a sample. */
let room = 0
let fds: Int32Array
let cookies: BigUint64Array
let results: Float64Array
let errors: Float64Array
let samples: Float64Array
let options: Float64Array
let wanted: Float64Array

function makeRoom(count: number): void {
  if (count <= room) return
  room = Math.max(64, count)
  fds = new Int32Array(room)
  cookies = new BigUint64Array(room)
  results = new Float64Array(room)
  errors = new Float64Array(room)
  samples = new Float64Array(room * SAMPLE_COLUMNS)
  options = new Float64Array(room * OPTION_COLUMNS)
  wanted = new Float64Array(room * OPTION_COLUMNS)
}

export interface Identity {
  readonly cookie: bigint
  /** A value of {@link TcpState}. */
  readonly state: number
}

/** The identities of descriptors. -errno for a descriptor that is not a TCP socket. */
export function identify(core: NativeCore, numbers: readonly number[]): (Identity | number)[] {
  makeRoom(numbers.length)
  fds.set(numbers)
  core.identify(numbers.length, fds, cookies, results, errors)
  return numbers.map((_, i) => errors[i]! || { cookie: cookies[i]!, state: results[i]! })
}

/** Samples many sockets. For each: a sample, or -errno. ESTALE: the descriptor is another socket now. */
export function sampleAll(core: NativeCore, sockets: readonly SocketName[]): (Sample | number)[] {
  const uncertain = nameUncertain(sockets)
  core.look(sockets.length, fds, uncertain, samples)
  return sockets.map((_, i) => decodeSample(samples, i))
}

/** Samples many sockets and reads their options. */
export function sampleWithOptions(
  core: NativeCore,
  sockets: readonly SocketName[],
): (SampleWithOptions | number)[] {
  const uncertain = nameUncertain(sockets)
  core.look(sockets.length, fds, uncertain, samples, options)
  return sockets.map((_, i) => {
    const sample = decodeSample(samples, i)
    return typeof sample === 'number' ? sample : { sample, options: decodeOptions(options, i) }
  })
}

/**
 * The time until the keepalive timer of each of many sockets fires, in ms. `undefined` if the kernel does not report it.
 *
 * @param pid a process in the sockets' network namespace. `undefined`: the caller's namespace.
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
 * Writes options of many sockets that were just sampled, all or none of each. Returns refusals by index; usually there are none.
 *
 * @param asks whether writing initialDelay is to make the kernel send a probe. Then it is written last, when the options that decide about that
 * probe are in place, and also if its value does not change. Otherwise it is written first.
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

/** Fills `fds`. Returns the cookies to check, or `undefined` if all sockets are certain: reading a cookie takes as long as a sample. */
function nameUncertain(sockets: readonly SocketName[]): BigUint64Array | undefined {
  if (!sockets.every(({ isCertain }) => isCertain)) {
    name(sockets)
    return cookies
  }
  makeRoom(sockets.length)
  for (let i = 0; i < sockets.length; i++) fds[i] = sockets[i]!.fd
  return undefined
}

function decodeSample(samples: Float64Array, i: number): Sample | number {
  const at = i * SAMPLE_COLUMNS
  if (samples[at]! < 0) return samples[at]!
  return {
    state: samples[at + 1]!,
    probes: samples[at + 2]!,
    retransmits: samples[at + 3]!,
    unacked: samples[at + 4]!,
    notSent: samples[at + 5]!,
    sampledAt: samples[at + 6]!,
    heardAt: samples[at + 7]!,
    rto: samples[at + 8]!,
    dataAt: samples[at + 9]!,
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

/** In the order of {@link decodeOptions}. NaN: the socket does not have the option. */
function encodeOptions(keepalive: Keepalive, row: Float64Array, at: number): void {
  row[at] = Number(keepalive.enable)
  row[at + INITIAL_DELAY] = keepalive.initialDelay
  row[at + 2] = keepalive.interval
  row[at + 3] = keepalive.count
  row[at + 4] = keepalive.userTimeout ?? Number.NaN
}
