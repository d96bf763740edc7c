import { describeErrno } from '../errors.js'
import type { NativeCore, NativeDeathwatch, NativeFailure } from './binding.js'
import { descriptorError, failureError, isUnsupported, orThrow, takeSocketError } from './failure.js'
import { decodeTcpInfo, stateOf, type TcpInfo } from './tcp-info.js'

/** An event that the kernel reported for a connection. */
export interface KernelEvent {
  /** The peer will send no more data: it has closed its side, or the connection has ended. */
  readonly peerClosed: boolean
  /** The next read or write fails with an error. */
  readonly failed: boolean
  /** Bytes received and not read yet. */
  readonly unread: number
  /** `info.state`. */
  readonly state: number
  /** The counters right after the event. Decoded on first use, because most closes need the state only. */
  readonly info: TcpInfo
  /** The result of {@link takeSocketError}, taken once for all listeners of the connection. */
  takeError(core: NativeCore, fd: number): string | undefined
}

/** Must not throw. */
export type KernelEventListener = (event: KernelEvent) => void

let deathwatch: NativeDeathwatch | undefined

/** By id. A connection rarely has more than one listener. */
const listeners = new Map<number, KernelEventListener | KernelEventListener[]>()

/**
 * Watches a connection's descriptor. A descriptor can have several listeners. Returns an id for {@link unwatchDescriptor}.
 *
 * @throws {@link DeadpeerError}; then nothing is watched.
 */
export function watchDescriptor(core: NativeCore, fd: number, listener: KernelEventListener): number {
  deathwatch ??= orThrow(core.openDeathwatch(report), watchError)
  const id = orThrow(core.watchDescriptor(deathwatch, fd), (failure) => watchError(failure, fd))
  const others = listeners.get(id)
  if (others === undefined) listeners.set(id, listener)
  else listeners.set(id, [others, listener].flat())
  return id
}

export function unwatchDescriptor(core: NativeCore, id: number, listener: KernelEventListener): void {
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

/** How long the last connection stays watched, ms. */
const LINGER = 1_000

let last: number | undefined

/**
 * The native thread ends with the last watched connection, and starting a thread costs more than watching a hundred connections. So the last
 * connection stays watched for {@link LINGER}, without a listener and even if it is closed. Programs that open one connection after the other
 * keep their thread that way.
 */
function linger(core: NativeCore, id: number): void {
  const before = last
  last = id
  if (before !== undefined) core.unwatch(deathwatch!, before)
  else setTimeout(unwatchLast, LINGER, core).unref()
}

function unwatchLast(core: NativeCore): void {
  core.unwatch(deathwatch!, last!)
  last = undefined
}

/** Of epoll_ctl(2). */
const EPOLLERR = 0x8
const EPOLLRDHUP = 0x2000

function report(id: number, events: number, unread: number, info: Uint8Array): void {
  const known = listeners.get(id)
  if (known === undefined) return
  const event = new EventFromKernel(events, unread, info)
  if (Array.isArray(known)) for (const listener of known) listener(event)
  else known(event)
}

class EventFromKernel implements KernelEvent {
  readonly peerClosed: boolean
  readonly failed: boolean
  readonly unread: number
  readonly state: number
  readonly #bytes: Uint8Array
  #info: TcpInfo | undefined
  #error: { readonly name: string | undefined } | undefined

  constructor(events: number, unread: number, bytes: Uint8Array) {
    this.peerClosed = (events & EPOLLRDHUP) !== 0
    this.failed = (events & EPOLLERR) !== 0
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
  EAGAIN: 'the limit of threads is reached (ulimit -u, or the pids limit of the cgroup)',
  EMFILE: 'the limit of open descriptors is reached (ulimit -n), and watching needs two',
  ENOSPC: 'the limit fs.epoll.max_user_watches of this user is reached, epoll(7)',
}

function watchError(failure: NativeFailure, fd?: number): Error {
  const { name } = describeErrno(failure.errno)
  if (name === 'EBADF' || name === 'ENOTSOCK' || isUnsupported(name)) {
    return descriptorError(failure.errno, fd)
  }
  return failureError(
    failure,
    (_, words) => `The connection cannot be watched: ${hints[name] ?? words} (${name}).`,
  )
}
