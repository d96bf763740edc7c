import { constants } from 'node:os'
import { type OwnTarget, requireDescriptor } from '../connection/target.js'
import type { DeadpeerError } from '../errors.js'
import { type NativeCore, type NativeFailure, requireCore } from '../kernel/binding.js'
import { descriptorError, type Explain, failureError, isFailure, orThrow } from '../kernel/failure.js'

const EBADF = -constants.errno.EBADF
const ENOENT = -constants.errno.ENOENT
const ENOTSOCK = -constants.errno.ENOTSOCK

/** A filter that drops segments that a socket receives, until it is restored. */
export interface Impairment {
  /**
   * Removes the filter: the socket receives again. A second call, or a closed socket, has no effect.
   *
   * @throws {@link DeadpeerError} with the errno if the kernel refuses: `ENOENT` if other code has removed the filter. After any
   * other error the filter is still in force, and you can call this again.
   */
  restore(): void
  /** {@link restore}, for `using`. */
  [Symbol.dispose](): void
}

/** A filter that a caller has requested for a socket. */
export interface Filter {
  readonly kind: 'black hole' | 'loss'
  /** The share of segments that it drops: 0 … 1. */
  readonly share: number
}

/** A filter on a socket, in force or overridden by another one. */
export interface AttachedFilter {
  /** Removes it. A second call has no effect. */
  release(): void
  /** Whether the descriptor is still that socket. */
  isOpen(): boolean
  /** The number of segments that the kernel has dropped at this socket, modulo 2³². */
  readDrops(): number
}

/** The requested filters of each socket, by cookie, the latest last. */
const wanted = new Map<bigint, readonly Filter[]>()

/** Attaches a filter to a socket. If there are several, a black hole overrides loss, and the latest loss overrides the others. */
export function attachFilter(peer: OwnTarget, kind: Filter['kind'], share: number): AttachedFilter {
  const core = requireCore(kind === 'loss' ? 'A lossy socket' : 'A black hole')
  const fd = requireDescriptor(peer)
  const cookie = cookieOf(core, fd)
  const filter: Filter = { kind, share }
  const filters = [...(wanted.get(cookie) ?? []), filter]
  const failure = applyFilters(core, fd, filters)
  if (failure) throw filterError(failure)
  wanted.set(cookie, filters)

  // The descriptor may be another socket now.
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
      const failure = isOpen() ? applyFilters(core, fd, others) : undefined
      // The filter stays in the list, so that the caller can try again; unless the kernel does not have it any more.
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

function applyFilters(core: NativeCore, fd: number, filters: readonly Filter[]): NativeFailure | undefined {
  const inForce = filters.find(({ kind }) => kind === 'black hole') ?? filters.at(-1)
  return inForce ? core.lose(fd, inForce.share) : core.undeafen(fd)
}

function cookieOf(core: NativeCore, fd: number): bigint {
  const toError = ({ errno }: NativeFailure) => descriptorError(errno, fd)
  const cookie = orThrow(core.readCookie(fd), toError)
  // Fails with ERR_NOT_TCP for other sockets.
  orThrow(core.readTcpInfo(fd, new Uint8Array(1)), toError)
  return cookie
}

function filterError({ errno }: NativeFailure): DeadpeerError {
  const failure = { errno, syscall: 'setsockopt' }
  const explain: Explain = (name, words) => {
    const remedy =
      name === 'EPERM'
        ? '  Attaching or removing a filter needs CAP_NET_ADMIN in this network namespace. To run a test without privileges: ' +
          'unshare -Urn sh -c \'ip link set lo up && exec "$@"\' sh node your-test.js'
        : ''
    return `The kernel refused the filter: ${words} (${name}).${remedy}`
  }
  return failureError(failure, explain, { constant: 'SO_ATTACH_FILTER' })
}

function countError({ errno }: NativeFailure): DeadpeerError {
  const explain: Explain = (name, words) =>
    `The kernel does not report how many segments it has dropped: ${words} (${name}). That needs Linux 4.12 or newer.`
  return failureError({ errno, syscall: 'getsockopt' }, explain, { constant: 'SO_MEMINFO' })
}
