import type net from 'node:net'
import type { NativeCore } from '../kernel/binding.js'
import { readOptions } from '../kernel/options.js'
import { encodePlace, isGivenUp, ownLayout, readTcpInfo, type TcpInfo } from '../kernel/tcp-info.js'
import type { Profile } from './profile.js'
import { descriptorOf } from './target.js'

/** What the kernel has for a connection at its end. */
export interface FinalState {
  readonly info: TcpInfo
  readonly profile: Profile
}

/** The options and counters of a socket whose descriptor is open. */
export function readFinalState(core: NativeCore, fd: number): FinalState | undefined {
  try {
    return { info: readTcpInfo(core, fd), profile: readOptions(core, fd) }
  } catch {
    // Closed by others than Node. Then the error's code alone has to tell.
    return undefined
  }
}

type Destroy = (this: net.Socket, error: Error | null, callback: (error?: Error | null) => void) => void

/** The core to look with, `_destroy` as it was before, and what was seen. */
interface Look {
  readonly core: NativeCore
  readonly destroy: Destroy
  state: number
  bytesAcked: number
  seen?: FinalState | undefined
}

const look = Symbol('deadpeer.lastLook')

type Observed = net.Socket & { _destroy: Destroy; [look]?: Look }

/**
 * Reads a connection's final state when Node is about to close it. Once `'error'` is emitted it is too late: the descriptor is closed,
 * and which of three causes an ETIMEDOUT had, only the counters tell. Nor is there always an error: an agent of Node's ends an idle
 * connection without a word, whatever was read from it (22.23, 24.21, 26), and so does a TLSSocket with what is under it. A `_destroy` of the
 * instance's own is what the `destroy` option of a stream's constructor makes as well. It stays: whoever puts another one
 * over it must not find it gone.
 */
export function lookBeforeClosing(core: NativeCore, socket: net.Socket): void {
  const observed = socket as Observed
  if (observed[look]) return
  observed[look] = { core, destroy: observed._destroy, state: Number.NaN, bytesAcked: Number.NaN }
  observed._destroy = lookAndDestroy
}

/** One function for all sockets: one of each socket's own would cost V8 ten times as much as the rest of watching it. */
function lookAndDestroy(this: Observed, error: Error | null, callback: (error?: Error | null) => void): void {
  const own = this[look]!
  const fd = descriptorOf(this)
  const { state, probes, retransmits, bytesAcked } = sample(own.core, fd)
  own.state = state
  own.bytesAcked = bytesAcked
  own.seen = error || isGivenUp({ state, probes, retransmits }) ? readFinalState(own.core, fd) : undefined
  own.destroy.call(this, error, callback)
}

const fields = ['state', 'probes', 'retransmits', 'bytesAcked'] as const
type Sample = Record<(typeof fields)[number], number>

const one = new Int32Array(1)
const row = new Float64Array(fields.length)

/** What there is to be known of a connection that nothing is wrong with: its close is to cost no more. NaN where it cannot be read. */
function sample(core: NativeCore, fd: number): Sample {
  one[0] = fd
  // It is filled with NaN where the descriptor is none.
  core.sampleTcpInfo(one, 1, places(), row)
  return { state: row[0]!, probes: row[1]!, retransmits: row[2]!, bytesAcked: row[3]! }
}

let encoded: Uint32Array | undefined

function places(): Uint32Array {
  encoded ??= Uint32Array.from(fields.flatMap((field) => encodePlace(ownLayout()[field])))
  return encoded
}

/** The connection's state at the last look; NaN where there was none, or nothing to be seen. */
export function lastState(socket: net.Socket): number {
  return (socket as Observed)[look]?.state ?? Number.NaN
}

/** What the peer had acknowledged at the last look; NaN likewise, or where the kernel does not count it. */
export function lastAcked(socket: net.Socket): number {
  return (socket as Observed)[look]?.bytesAcked ?? Number.NaN
}

/** What was read at the last look: where the kernel had given up the peer, or Node told of an error. */
export function lastLook(socket: net.Socket): FinalState | undefined {
  return (socket as Observed)[look]?.seen
}
