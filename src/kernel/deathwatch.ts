import { DeadpeerError, describeErrno } from '../errors.js'
import type { NativeCore, NativeDeathwatch } from './binding.js'
import { descriptorError } from './options.js'
import { takeSocketError } from './socket-error.js'
import { decodeTcpInfo, stateOf, type TcpInfo } from './tcp-info.js'

/** What the native deathwatch saw of a connection. */
export interface Sighting {
  /** The peer sends no more: it has closed its side, or all is over. */
  readonly peerClosed: boolean
  /** The kernel has an error for whoever reads or writes next. */
  readonly failed: boolean
  /** Bytes that came and that nobody has taken from the kernel yet. */
  readonly unread: number
  /** Of `info`. */
  readonly state: number
  /** The counters right after. Decoded on first use: for most closes the state is all that is needed. */
  readonly info: TcpInfo
  /** {@link takeSocketError}, once for all who watch the connection. */
  takeError(core: NativeCore, fd: number): string | undefined
}

/** Must not throw. */
export type SightingListener = (sighting: Sighting) => void

let deathwatch: NativeDeathwatch | undefined

/** By id. Hardly ever is there more than one for a connection. */
const listeners = new Map<number, SightingListener | SightingListener[]>()

/**
 * Watches a connection's descriptor. Several may watch the same. Returns an id for {@link unwatchDescriptor}.
 *
 * @throws typed, with nothing left behind.
 */
export function watchDescriptor(core: NativeCore, fd: number, listener: SightingListener): number {
  deathwatch ??= open(core)
  const id = core.watchDescriptor(deathwatch, fd)
  if (typeof id === 'object') throw refusal(id.errno, fd)
  const others = listeners.get(id)
  if (others === undefined) listeners.set(id, listener)
  else listeners.set(id, [others, listener].flat())
  return id
}

export function unwatchDescriptor(core: NativeCore, id: number, listener: SightingListener): void {
  const known = listeners.get(id)
  if (Array.isArray(known)) {
    const [first, ...rest] = known.filter((other) => other !== listener)
    listeners.set(id, rest.length > 0 ? [first!, ...rest] : first!)
  } else {
    listeners.delete(id)
  }
  if (listeners.size > 0) core.unwatch(deathwatch!, id)
  else linger(core, id)
}

/** How long the last stays, ms. */
const LINGER = 1_000

let last: number | undefined

/**
 * The native thread ends with the last connection, and to start one takes longer than to watch a hundred. So where none is left one stays, closed or
 * not and heard by nobody, for who has one connection after the other.
 */
function linger(core: NativeCore, id: number): void {
  const before = last
  last = id
  if (before !== undefined) core.unwatch(deathwatch!, before)
  else setTimeout(letGo, LINGER, core).unref()
}

function letGo(core: NativeCore): void {
  core.unwatch(deathwatch!, last!)
  last = undefined
}

function open(core: NativeCore): NativeDeathwatch {
  const opened = core.openDeathwatch(sighted)
  if (typeof opened === 'number') throw refusal(opened)
  return opened
}

function sighted(id: number, peerClosed: boolean, failed: boolean, unread: number, bytes: Uint8Array): void {
  const known = listeners.get(id)
  if (known === undefined) return
  const sighting = new Seen(peerClosed, failed, unread, bytes)
  if (Array.isArray(known)) for (const listener of known) listener(sighting)
  else known(sighting)
}

class Seen implements Sighting {
  readonly peerClosed: boolean
  readonly failed: boolean
  readonly unread: number
  readonly state: number
  readonly #bytes: Uint8Array
  #info: TcpInfo | undefined
  #error: { readonly name: string | undefined } | undefined

  constructor(peerClosed: boolean, failed: boolean, unread: number, bytes: Uint8Array) {
    this.peerClosed = peerClosed
    this.failed = failed
    this.unread = unread
    this.state = stateOf(bytes)
    this.#bytes = bytes
  }

  get info(): TcpInfo {
    this.#info ??= decodeTcpInfo(this.#bytes)
    return this.#info
  }

  takeError(core: NativeCore, fd: number): string | undefined {
    this.#error ??= { name: takeSocketError(core, fd) }
    return this.#error.name
  }
}

const hints: Record<string, string> = {
  EAGAIN: 'no more threads are allowed (ulimit -u, or the pids limit of the cgroup)',
  EMFILE: 'the process has no descriptors left (ulimit -n); watching takes two',
  ENOSPC: 'the user watches as many as fs.epoll.max_user_watches allows, epoll(7)',
}

function refusal(errno: number, fd?: number): Error {
  const { name, words } = describeErrno(errno)
  if (['EBADF', 'ENOTSOCK', 'ENOPROTOOPT', 'EOPNOTSUPP', 'ENOTSUP'].includes(name)) {
    return descriptorError(errno, fd)
  }
  const why = hints[name] ?? words
  return new DeadpeerError(name, `The connection cannot be watched: ${why} (${name}).`, { errno })
}
