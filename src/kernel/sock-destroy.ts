import net from 'node:net'
import { DeadpeerError, InvalidTypeError, OutOfRangeError } from '../errors.js'
import { describe, whole } from '../options/check.js'
import { addressBytes } from './address.js'
import { type NativeEnd, type NativeFailure, requireCore } from './binding.js'
import { failureError } from './failure.js'
import { entryError, isEntryRefusal, OWN_NAMESPACE, pidOf } from './network-namespace.js'

/** One end of a connection. */
export interface SocketAddress {
  /** IPv4 or IPv6, as text. */
  readonly address: string
  /** 0 … 65 535. */
  readonly port: number
}

/** The identity of a TCP socket in a network namespace. The records of `listSockets` have it. */
export interface SocketIdentity {
  /** The local end. */
  readonly local: SocketAddress
  /** The remote end. For a listener: all zeros. */
  readonly remote: SocketAddress
  /** `SO_COOKIE`, socket(7): unique to the socket until the system reboots. */
  readonly cookie: bigint
  /** The index of the network interface that the socket is bound to. 0 or left out: none. The kernel does not find a bound socket without it. */
  readonly interface?: number | undefined
}

/** The network namespace of the socket. */
export interface DestroyOptions {
  /** The id of a process in the socket's network namespace, as for {@link SocketFilter.pid}. Default: the caller's namespace. */
  readonly pid?: number | undefined
}

/** INET_DIAG_NOCOOKIE: the kernel would skip the check and destroy any socket with these addresses. */
const ANY_COOKIE = 2n ** 64n - 1n

/**
 * Ends a TCP connection at once, whichever process owns it: `SOCK_DESTROY`, sock_diag(7). The owner's calls fail with `ECONNABORTED`, and the
 * peer gets a RST. The kernel checks the cookie, so a newer connection with the same addresses is never destroyed.
 *
 * @param record a record of `listSockets`, or an object with the same fields.
 * @param options the same `pid` as for `listSockets`, if any.
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE`; `field` names the wrong field of the
 * record. {@link DeadpeerError}:
 * - `EPERM`: the caller lacks CAP_NET_ADMIN over the network namespace, capabilities(7). With `syscall` `'setns'`: the caller may not enter
 *   the namespace of `pid`.
 * - `ESRCH`: there is no process `pid`.
 * - `ENOENT`: the socket is already gone.
 * - `ERR_AMBIGUOUS_ADDRESS`: the socket is a listener and still open, but Linux finds only other listeners by its address. Either some of the
 *   listeners that share the address (`SO_REUSEPORT`) are pinned to a CPU (`SO_INCOMING_CPU`), or the listener is not bound to `interface`.
 *   Otherwise each of the listeners that share an address is found.
 * - `EAGAIN`: the socket is a listener, and it is not known whether it is gone: other listeners on its port open and close too fast.
 * - `EOPNOTSUPP`: the kernel was built without CONFIG_INET_DIAG_DESTROY.
 * - `ERR_UNSUPPORTED_PLATFORM`: there is no native core.
 * @example
 * ```ts
 * for (const record of await listSockets({ remotePort: 5432, states: ['close-wait'] })) destroySocket(record)
 * ```
 */
export function destroySocket(record: SocketIdentity, options: DestroyOptions = {}): void {
  if (typeof record !== 'object' || record === null) {
    throw new InvalidTypeError(
      `record must be a record of listSockets(), with local, remote and cookie; got ${describe(record)}.`,
      { field: 'record' },
    )
  }
  const { local, remote, cookie, interface: index = 0 } = record
  const family = checkEnd(local, 'local')
  if (checkEnd(remote, 'remote') !== family) {
    throw new InvalidTypeError(
      `remote.address must be IPv${family}, like local.address; got '${remote.address}'.`,
      {
        field: 'remote.address',
      },
    )
  }
  interfaceIndex(index, 'interface')
  checkCookie(cookie)
  const pid = pidOf(options, 'destroySocket()')
  const failure = requireCore('Destroying a socket').destroySocket({
    pid: pid ?? OWN_NAMESPACE,
    local: nativeEnd(local),
    remote: nativeEnd(remote),
    interface: index,
    cookie,
  })
  if (!failure) return
  if (pid !== undefined && isEntryRefusal(failure)) throw entryError(failure, pid)
  throw destroyError(failure, record)
}

function nativeEnd({ address, port }: SocketAddress): NativeEnd {
  return { address: addressBytes(address)!, port }
}

function checkEnd(end: unknown, field: string): number {
  if (typeof end !== 'object' || end === null) {
    throw new InvalidTypeError(`${field} must be an object with address and port; got ${describe(end)}.`, {
      field,
    })
  }
  const { address, port } = end as SocketAddress
  const family = typeof address === 'string' ? net.isIP(address) : 0
  // Instead of a zone (fe80::1%eth0), set `interface`.
  if (family === 0 || address.includes('%')) {
    throw new InvalidTypeError(
      `${field}.address must be an IPv4 or IPv6 address without a zone; got ${describe(address)}.`,
      {
        field: `${field}.address`,
      },
    )
  }
  portOrNone(port, `${field}.port`)
  return family
}

const interfaceIndex = whole({ min: 0, max: 2 ** 31 - 1 })

/** The remote port of a listener is 0. */
const portOrNone = whole({ min: 0, max: 65_535 })

function checkCookie(cookie: unknown): void {
  const field = 'cookie'
  if (typeof cookie !== 'bigint') {
    throw new InvalidTypeError(`cookie must be a bigint; got ${describe(cookie)}.`, { field })
  }
  if (cookie > 0n && cookie < ANY_COOKIE) return
  throw new OutOfRangeError(`cookie must be the cookie of a socket, 1n to 2n ** 64n - 2n; got ${cookie}n.`, {
    field,
  })
}

/** The native core's errno for: the listener is open, but the kernel finds only others. */
const ENOTUNIQ = -76

function destroyError({ errno }: NativeFailure, { local, remote }: SocketIdentity): DeadpeerError {
  const constant = 'SOCK_DESTROY'
  if (errno === ENOTUNIQ) {
    return new DeadpeerError(
      'ERR_AMBIGUOUS_ADDRESS',
      `The listener at ${nameOf(local)} is open, but Linux finds only other listeners at that address. Either some of them are pinned to a CPU ` +
        '(SO_INCOMING_CPU), or `interface` is wrong. Nothing was destroyed.',
      { constant },
    )
  }
  const which = `${nameOf(local)} → ${nameOf(remote)}`
  return failureError(
    { errno, syscall: 'sendto' },
    (name, words) => {
      switch (name) {
        case 'EPERM':
        case 'EACCES':
          return `This process may not destroy ${which} (${name}). Run with CAP_NET_ADMIN over the network namespace.`
        case 'ENOENT':
          return `${which} is already gone (${name}). Nothing was destroyed.`
        case 'EOPNOTSUPP':
        case 'ENOTSUP':
          return [
            'EOPNOTSUPP',
            `This kernel cannot destroy sockets (${name}): it was built without CONFIG_INET_DIAG_DESTROY.`,
          ]
        default:
          return `The kernel refused to destroy ${which}: ${words} (${name}).`
      }
    },
    { constant },
  )
}

function nameOf({ address, port }: SocketAddress): string {
  return net.isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`
}
