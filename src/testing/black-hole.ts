import { DeadpeerError, describeErrno } from '../errors.js'
import { missingReason, type NativeCore, nativeCore } from '../kernel/binding.js'
import { descriptorError } from '../kernel/options.js'
import { type OwnTarget, requireDescriptor } from '../socket/target.js'

/** A socket that hears nothing any more. */
export interface BlackHole {
  /** Lets it hear again. Once is enough; a socket that is closed by then is left alone. */
  restore(): void
  [Symbol.dispose](): void
}

/** How many black holes hold each socket, by cookie: it hears again when the last is gone. */
const holders = new Map<bigint, number>()

/**
 * Makes a peer vanish, for tests: its socket hears nothing any more, so it answers nothing, as after a power cut or
 * behind a NAT that has forgotten it. No FIN, no RST. Pass the *peer's* socket, the far end of the connection
 * that is to notice. What the peer itself sends still leaves.
 *
 * A classic BPF filter that drops every segment: `SO_ATTACH_FILTER`, socket(7). It replaces a filter that the socket has.
 *
 * @throws {@link DeadpeerError} `EPERM` without CAP_NET_ADMIN in the network namespace, which current kernels demand; the
 * message says how to get it unprivileged. `ERR_SOCKET_CLOSED`, `ERR_NOT_TCP`, `ERR_UNSUPPORTED_PLATFORM`.
 * @example
 * ```ts
 * server.once('connection', (peer) => {
 *   using gone = blackHole(peer)
 *   // … the client's own error handling runs within its detectionTime
 * })
 * ```
 */
export function blackHole(peer: OwnTarget): BlackHole {
  const core = nativeCore()
  if (!core) {
    throw new DeadpeerError(
      'ERR_UNSUPPORTED_PLATFORM',
      `A black hole needs the native core: ${missingReason()}.`,
    )
  }
  const fd = requireDescriptor(peer)
  const cookie = cookieOf(core, fd)
  const errno = core.deafen(fd)
  if (errno < 0) throw filterError(errno)
  holders.set(cookie, (holders.get(cookie) ?? 0) + 1)

  let restored = false
  const restore = () => {
    if (restored) return
    restored = true
    const others = holders.get(cookie)! - 1
    if (others > 0) {
      holders.set(cookie, others)
      return
    }
    holders.delete(cookie)
    // The number may be another socket's by now.
    if (core.readCookie(fd) !== cookie) return
    const refused = core.undeafen(fd)
    if (refused < 0) throw filterError(refused)
  }
  return { restore, [Symbol.dispose]: restore }
}

function cookieOf(core: NativeCore, fd: number): bigint {
  const cookie = core.readCookie(fd)
  if (typeof cookie === 'number') throw descriptorError(cookie, fd)
  // Says ERR_NOT_TCP for the rest.
  const length = core.readTcpInfo(fd, new Uint8Array(1))
  if (length < 0) throw descriptorError(length, fd)
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
