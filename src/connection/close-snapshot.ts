import type net from 'node:net'
import type { NativeCore } from '../kernel/binding.js'
import { takeSocketError } from '../kernel/failure.js'
import { readOptions } from '../kernel/options.js'
import { encodePlace, isGivenUp, ownLayout, readTcpInfo, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import type { Profile } from '../profile/profile.js'
import { descriptorOf } from './target.js'

/** The counters and options of a connection at its end. */
export interface FinalState {
  readonly info: TcpInfo
  readonly profile: Profile
}

/** What the kernel had for a connection right before Node closed its descriptor. */
export interface CloseSnapshot {
  /** `tcpi_state`; NaN where it could not be read. */
  readonly state: number
  /** `tcpi_bytes_acked`; NaN where it could not be read or the kernel does not count it. */
  readonly bytesAcked: number
  /**
   * `SO_ERROR` by name, where the connection had ended and Node closed it without an error. Absent where there was none, or where Node
   * had read it before.
   */
  readonly errno?: string | undefined
  /** Read only where Node closed the socket with an error, or the peer had not answered. */
  readonly final?: FinalState | undefined
}

/** The options and counters of a socket whose descriptor is open. */
export function readFinalState(core: NativeCore, fd: number): FinalState | undefined {
  try {
    return { info: readTcpInfo(core, fd), profile: readOptions(core, fd) }
  } catch {
    // Something other than Node closed the descriptor. Only the error's code is left then.
    return undefined
  }
}

type Destroy = (this: net.Socket, error: Error | null, callback: (error?: Error | null) => void) => void

/** What is told when Node closes a socket. */
export interface CloseListener {
  /** Right before: the descriptor can still be read. */
  beforeClose(snapshot: CloseSnapshot | undefined): void
  /** Once it is closed, after `'error'` was emitted, if it was; with what the socket was destroyed with. */
  afterClose(error: Error | null): void
}

interface Hook {
  readonly core: NativeCore | undefined
  /** `_destroy` as it was before. */
  readonly destroy: Destroy
  users: number
  readonly listeners: CloseListener[]
  snapshot?: CloseSnapshot
}

const hook = Symbol('deadpeer.closeSnapshot')

type Hooked = net.Socket & { _destroy: Destroy; [hook]?: Hook | undefined }

/**
 * Has a snapshot taken when Node closes the socket. When `'error'` is emitted it is too late: the descriptor is closed, and only the
 * counters tell which of three causes an ETIMEDOUT had. Nor is there always an error: Node's agents end an idle connection without one,
 * and a TLSSocket closes the socket under it without one.
 *
 * The hook is a `_destroy` of the instance's own, as the `destroy` option of a stream's constructor makes one. Unlike a listener it stays
 * when a program calls `removeAllListeners`. Each call needs one {@link releaseCloseSnapshot}.
 *
 * @param core without it there is no snapshot, and only the listener is called.
 */
export function requestCloseSnapshot(
  core: NativeCore | undefined,
  socket: net.Socket,
  listener?: CloseListener,
): void {
  const hooked = socket as Hooked
  hooked[hook] ??= { core, destroy: hooked._destroy, users: 0, listeners: [] }
  const own = hooked[hook]
  if (own.users++ === 0) hooked._destroy = snapshotAndDestroy
  if (listener) own.listeners.push(listener)
}

/** The last user removes the hook, unless other code has wrapped it in another `_destroy`, which then still calls it. */
export function releaseCloseSnapshot(socket: net.Socket, listener?: CloseListener): void {
  const hooked = socket as Hooked
  const own = hooked[hook]
  if (!own) return
  const place = listener ? own.listeners.indexOf(listener) : -1
  if (place >= 0) own.listeners.splice(place, 1)
  if (--own.users > 0 || hooked._destroy !== snapshotAndDestroy) return
  // Assigned, not deleted: V8 makes an object slow when a property is deleted from it.
  hooked._destroy = own.destroy
  hooked[hook] = undefined
}

/** The snapshot, once Node has closed the socket. */
export function closeSnapshotOf(socket: net.Socket): CloseSnapshot | undefined {
  return (socket as Hooked)[hook]?.snapshot
}

/** One function for all sockets: a closure for each would cost V8 ten times as much as the rest of watching. */
function snapshotAndDestroy(
  this: Hooked,
  error: Error | null,
  callback: (error?: Error | null) => void,
): void {
  const own = this[hook]!
  if (own.users > 0 && own.core) own.snapshot = takeSnapshot(own.core, descriptorOf(this), error !== null)
  for (const listener of own.listeners) listener.beforeClose(own.snapshot)
  own.destroy.call(this, error, (result) => {
    callback(result)
    for (const listener of own.listeners) process.nextTick(tellClosed, listener, error)
  })
}

function tellClosed(listener: CloseListener, error: Error | null): void {
  listener.afterClose(error)
}

function takeSnapshot(core: NativeCore, fd: number, hasError: boolean): CloseSnapshot {
  const { state, probes, retransmits, bytesAcked } = sample(core, fd)
  if (state !== TcpState.CLOSE && !hasError) return { state, bytesAcked }
  const errno = hasError ? undefined : takeSocketError(core, fd)
  const isInDoubt = hasError || isGivenUp({ state, probes, retransmits }) || errno !== undefined
  return { state, bytesAcked, errno, final: isInDoubt ? readFinalState(core, fd) : undefined }
}

const fields = ['state', 'probes', 'retransmits', 'bytesAcked'] as const
type Sample = Record<(typeof fields)[number], number>

const one = new Int32Array(1)
const row = new Float64Array(fields.length)

/** One cheap call, as most connections close with nothing wrong. NaN where it cannot be read. */
function sample(core: NativeCore, fd: number): Sample {
  one[0] = fd
  core.sampleTcpInfo(one, 1, places(), row)
  return { state: row[0]!, probes: row[1]!, retransmits: row[2]!, bytesAcked: row[3]! }
}

let encoded: Uint32Array | undefined

function places(): Uint32Array {
  encoded ??= Uint32Array.from(fields.flatMap((field) => encodePlace(ownLayout()[field])))
  return encoded
}
