import { constants } from 'node:os'
import { type OwnTarget, requireDescriptor } from '../connection/target.js'
import type { DeadpeerError } from '../errors.js'
import { type NativeCore, type NativeFailure, requireCore } from '../kernel/binding.js'
import { descriptorError, type Explain, failureError, isFailure, orThrow } from '../kernel/failure.js'

const EBADF = -constants.errno.EBADF
const ENOENT = -constants.errno.ENOENT
const ENOTSOCK = -constants.errno.ENOTSOCK

/** A filter that keeps a socket from receiving, until it is restored. */
export interface Impairment {
  /**
   * Removes the filter: the socket receives again. A second call, or a closed socket, has no effect.
   *
   * @throws {@link DeadpeerError} by errno where the kernel refuses: `ENOENT` if other code has removed the filter. After any
   * other error it is still in force, and this can be called again.
   */
  restore(): void
  /** {@link restore}, for `using`. */
  [Symbol.dispose](): void
}

/** A filter that a caller wants on a socket. */
export interface Filter {
  readonly kind: 'black hole' | 'loss'
  /** The share of segments that it drops: 0 … 1. */
  readonly share: number
}

/** A filter on a socket, in force or behind another one. */
export interface Hold {
  /** Gives it up, once. */
  release(): void
  /** Whether the descriptor is still that socket. */
  isOpen(): boolean
  /** How many segments the kernel has dropped at this socket. Wraps around at 2³². */
  readDrops(): number
}

/** The wanted filters of each socket, by cookie, the latest last. */
const wanted = new Map<bigint, readonly Filter[]>()

/** Attaches a filter to a socket. If there are several, a black hole wins over loss, and the latest loss over the others. */
export function hold(peer: OwnTarget, kind: Filter['kind'], share: number): Hold {
  const core = requireCore(kind === 'loss' ? 'A lossy socket' : 'A black hole')
  const fd = requireDescriptor(peer)
  const cookie = cookieOf(core, fd)
  const filter: Filter = { kind, share }
  const filters = [...(wanted.get(cookie) ?? []), filter]
  const failure = bringAbout(core, fd, filters)
  if (failure) throw filterError(failure)
  wanted.set(cookie, filters)

  // The number may be another socket's by now.
  const isOpen = () => {
    const now = core.readCookie(fd)
    if (!isFailure(now)) return now === cookie
    if (now.errno !== EBADF && now.errno !== ENOTSOCK) throw descriptorError(now.errno, fd)
    return false
  }
  return {
    release() {
      const present = wanted.get(cookie)
      if (!present?.includes(filter)) return
      const others = present.filter((other) => other !== filter)
      const failure = isOpen() ? bringAbout(core, fd, others) : undefined
      // The caller can try again, unless the filter is gone.
      if (failure && failure.errno !== ENOENT) throw filterError(failure)
      if (others.length > 0) wanted.set(cookie, others)
      else wanted.delete(cookie)
      if (failure) throw filterError(failure)
    },
    isOpen,
    readDrops() {
      return orThrow(core.readDrops(fd), countError)
    },
  }
}

function bringAbout(core: NativeCore, fd: number, filters: readonly Filter[]): NativeFailure | undefined {
  const inForce = filters.find(({ kind }) => kind === 'black hole') ?? filters.at(-1)
  return inForce ? core.lose(fd, inForce.share) : core.undeafen(fd)
}

function cookieOf(core: NativeCore, fd: number): bigint {
  const toError = ({ errno }: NativeFailure) => descriptorError(errno, fd)
  const cookie = orThrow(core.readCookie(fd), toError)
  // Says ERR_NOT_TCP for the rest.
  orThrow(core.readTcpInfo(fd, new Uint8Array(1)), toError)
  return cookie
}

function filterError({ errno }: NativeFailure): DeadpeerError {
  const failure = { errno, syscall: 'setsockopt' }
  const explain: Explain = (name, words) => {
    const remedy =
      name === 'EPERM'
        ? ' It needs CAP_NET_ADMIN in this network namespace. Without privileges: ' +
          'unshare -Urn sh -c \'ip link set lo up && exec "$@"\' sh node your-test.js'
        : ''
    return `The kernel refused the filter: ${words} (${name}).${remedy}`
  }
  return failureError(failure, explain, { constant: 'SO_ATTACH_FILTER' })
}

function countError({ errno }: NativeFailure): DeadpeerError {
  const explain: Explain = (name, words) =>
    `The kernel does not say how many segments it has dropped: ${words} (${name}). That needs Linux 4.12.`
  return failureError({ errno, syscall: 'getsockopt' }, explain, { constant: 'SO_MEMINFO' })
}
