import type net from 'node:net'
import type { NativeCore } from '../kernel/binding.js'
import { readOptions } from '../kernel/options.js'
import { encodePlace, ownLayout, readTcpInfo, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
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
  observed[look] = { core, destroy: observed._destroy, state: Number.NaN }
  observed._destroy = lookAndDestroy
}

/** One function for all sockets: one of each socket's own would cost V8 ten times as much as the rest of watching it. */
function lookAndDestroy(this: Observed, error: Error | null, callback: (error?: Error | null) => void): void {
  const own = this[look]!
  const fd = descriptorOf(this)
  own.state = fd < 0 ? Number.NaN : readState(own.core, fd)
  own.seen = error || own.state === TcpState.CLOSE ? readFinalState(own.core, fd) : undefined
  own.destroy.call(this, error, callback)
}

const one = new Int32Array(1)
const state = new Float64Array(1)

/** The state alone: where this side ends it, and that is all there is to be known, a close is to cost no more. */
function readState(core: NativeCore, fd: number): number {
  one[0] = fd
  core.sampleTcpInfo(one, 1, statePlace(), state)
  return state[0]!
}

let place: Uint32Array | undefined

function statePlace(): Uint32Array {
  place ??= Uint32Array.from(encodePlace(ownLayout().state))
  return place
}

/** The connection's state at the last look; NaN where there was none, or nothing to be seen. */
export function lastState(socket: net.Socket): number {
  return (socket as Observed)[look]?.state ?? Number.NaN
}

/** What was read at the last look: where the kernel had ended the connection, or Node told of an error. */
export function lastLook(socket: net.Socket): FinalState | undefined {
  return (socket as Observed)[look]?.seen
}
