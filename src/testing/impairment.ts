import { constants } from 'node:os'
import { markPath } from '../connection/path.js'
import { type OwnTarget, requireDescriptor } from '../connection/target.js'
import type { DeadpeerError } from '../errors.js'
import { type NativeCore, type NativeFailure, requireCore } from '../kernel/binding.js'
import { descriptorError, type Explain, failureError, isFailure, orThrow } from '../kernel/failure.js'
import { sharedState } from '../kernel/shared-state.js'

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
  readonly kind: 'black hole' | 'deaf' | 'loss'
  /** The share of segments that it drops: 0 … 1; for `deaf`, of probes. */
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
const wanted = sharedState('filters', () => new Map<bigint, readonly Filter[]>())

/**
 * Attaches a filter to a socket. If there are several, a black hole overrides the others, a deaf path overrides loss, and the latest loss overrides
 * other loss.
 */
export function attachFilter(peer: OwnTarget, kind: Filter['kind'], share: number): AttachedFilter {
  const core = requireCore(
    kind === 'loss' ? 'A lossy socket' : kind === 'deaf' ? 'A deaf path' : 'A black hole',
  )
  const fd = requireDescriptor(peer)
  const cookie = cookieOf(core, fd)
  const filter: Filter = { kind, share }
  const filters = [...(wanted().get(cookie) ?? []), filter]
  const failure = applyFilters(core, fd, filters)
  if (failure) throw filterError(failure)
  setFilters(core, fd, cookie, filters)

  // The descriptor may be another socket now.
  const isOpen = () => {
    const now = core.readCookie(fd)
    if (!isFailure(now)) return now === cookie
    if (now.errno !== EBADF && now.errno !== ENOTSOCK) throw descriptorError(now.errno, fd)
    return false
  }
  return {
    release() {
      const present = wanted().get(cookie)
      if (!present?.includes(filter)) return
      const others = present.filter((other) => other !== filter)
      const failure = isOpen() ? applyFilters(core, fd, others) : undefined
      // The filter stays in the list, so that the caller can try again, unless the kernel no longer has it.
      if (failure && failure.errno !== ENOENT) throw filterError(failure)
      setFilters(core, fd, cookie, others)
      if (failure) throw filterError(failure)
    },
    isOpen,
    readDrops() {
      return orThrow(core.readDrops(fd), countError)
    },
  }
}

function applyFilters(core: NativeCore, fd: number, filters: readonly Filter[]): NativeFailure | undefined {
  const inForce = filters.find(({ kind }) => kind === 'black hole') ?? filters.find(isDeaf) ?? filters.at(-1)
  if (!inForce) return core.undeafen(fd)
  return isDeaf(inForce) ? core.ignoreProbes(fd) : core.lose(fd, inForce.share)
}

function isDeaf({ kind }: Filter): boolean {
  return kind === 'deaf'
}

/** Records the filters of a socket, and the path state of the other end. With a black hole or loss, that path still counts as answering probes. */
function setFilters(core: NativeCore, fd: number, cookie: bigint, filters: readonly Filter[]): void {
  if (filters.length > 0) wanted().set(cookie, filters)
  else wanted().delete(cookie)
  markPath(core, fd, filters.length === 0 ? undefined : filters.some(isDeaf) ? 'unproven' : 'answers')
}

function cookieOf(core: NativeCore, fd: number): bigint {
  const toError = ({ errno }: NativeFailure) => descriptorError(errno, fd)
  const cookie = orThrow(core.readCookie(fd), toError)
  // Fails with ERR_NOT_TCP for other sockets.
  orThrow(core.readTcpInfo(fd, new Uint8Array(1)), toError)
  return cookie
}

function filterError({ errno, syscall }: NativeFailure): DeadpeerError {
  const failure = { errno, syscall: syscall ?? 'setsockopt' }
  const explain: Explain = (name, words) => {
    if (name === 'EPERM' && syscall === 'bpf') {
      return `The kernel refused the filter: ${words} (${name}). A deaf path needs CAP_BPF (CAP_SYS_ADMIN before Linux 5.8). Run the test as root.`
    }
    const remedy =
      name === 'EPERM'
        ? '  Attaching or removing a filter needs CAP_NET_ADMIN in this network namespace. To run a test without privileges: ' +
          'unshare -Urn sh -c \'ip link set lo up && exec "$@"\' sh node your-test.js'
        : ''
    return `The kernel refused the filter: ${words} (${name}).${remedy}`
  }
  return failureError(failure, explain, {
    constant: syscall === 'bpf' ? 'BPF_PROG_LOAD' : 'SO_ATTACH_FILTER',
  })
}

function countError({ errno }: NativeFailure): DeadpeerError {
  const explain: Explain = (name, words) =>
    `The kernel does not report how many segments it has dropped: ${words} (${name}). That needs Linux 4.12 or newer.`
  return failureError({ errno, syscall: 'getsockopt' }, explain, { constant: 'SO_MEMINFO' })
}
