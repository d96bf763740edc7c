import { constants } from 'node:os'
import { type OwnTarget, requireDescriptor } from '../connection/target.js'
import { DeadpeerError, describeErrno } from '../errors.js'
import { missingReason, type NativeCore, nativeCore } from '../kernel/binding.js'
import { descriptorError } from '../kernel/options.js'

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
  const core = nativeCore()
  if (!core) {
    throw new DeadpeerError(
      'ERR_UNSUPPORTED_PLATFORM',
      `A ${kind === 'loss' ? 'lossy socket' : kind} needs the native core: ${missingReason()}.`,
    )
  }
  const fd = requireDescriptor(peer)
  const cookie = cookieOf(core, fd)
  const filter: Filter = { kind, share }
  const filters = [...(wanted.get(cookie) ?? []), filter]
  const errno = bringAbout(core, fd, filters)
  if (errno < 0) throw filterError(errno)
  wanted.set(cookie, filters)

  // The number may be another socket's by now.
  const isOpen = () => {
    const now = core.readCookie(fd)
    if (typeof now === 'number' && now !== EBADF && now !== ENOTSOCK) throw descriptorError(now, fd)
    return now === cookie
  }
  return {
    release() {
      const present = wanted.get(cookie)
      if (!present?.includes(filter)) return
      const others = present.filter((other) => other !== filter)
      const errno = isOpen() ? bringAbout(core, fd, others) : 0
      // The caller can try again, unless the filter is gone.
      if (errno < 0 && errno !== ENOENT) throw filterError(errno)
      if (others.length > 0) wanted.set(cookie, others)
      else wanted.delete(cookie)
      if (errno < 0) throw filterError(errno)
    },
    isOpen,
    readDrops() {
      const drops = core.readDrops(fd)
      if (typeof drops === 'object') throw countError(drops.errno)
      return drops
    },
  }
}

/** Returns 0 or -errno. */
function bringAbout(core: NativeCore, fd: number, filters: readonly Filter[]): number {
  const inForce = filters.find(({ kind }) => kind === 'black hole') ?? filters.at(-1)
  return inForce ? core.lose(fd, inForce.share) : core.undeafen(fd)
}

function cookieOf(core: NativeCore, fd: number): bigint {
  const cookie = core.readCookie(fd)
  if (typeof cookie === 'number') throw descriptorError(cookie, fd)
  // Says ERR_NOT_TCP for the rest.
  const length = core.readTcpInfo(fd, new Uint8Array(1))
  if (typeof length === 'object') throw descriptorError(length.errno, fd)
  return cookie
}

function filterError(errno: number): DeadpeerError {
  const { name, words } = describeErrno(errno)
  const remedy =
    name === 'EPERM'
      ? ' It needs CAP_NET_ADMIN in this network namespace. Without privileges: ' +
        'unshare -Urn sh -c \'ip link set lo up && exec "$@"\' sh node your-test.js'
      : ''
  return new DeadpeerError(name, `The kernel refused the filter: ${words} (${name}).${remedy}`, {
    constant: 'SO_ATTACH_FILTER',
    errno,
    syscall: 'setsockopt',
  })
}

function countError(errno: number): DeadpeerError {
  const { name, words } = describeErrno(errno)
  return new DeadpeerError(
    name,
    `The kernel does not say how many segments it has dropped: ${words} (${name}). That needs Linux 4.12.`,
    { constant: 'SO_MEMINFO', errno, syscall: 'getsockopt' },
  )
}
