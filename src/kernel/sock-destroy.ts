import net from 'node:net'
import { DeadpeerError, InvalidTypeError, OutOfRangeError } from '../errors.js'
import { whole } from '../options/check.js'
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

/** What tells a TCP socket of a network namespace from all others. What `listSockets` yields has it. */
export interface SocketIdentity {
  /** The near end. */
  readonly local: SocketAddress
  /** The far end. Of a listener: all zeros. */
  readonly remote: SocketAddress
  /** `SO_COOKIE`, socket(7): unique to the socket for as long as the system runs. */
  readonly cookie: bigint
  /** The index of the network interface that it is bound to; 0 or left out: none. One that is bound is not found without it. */
  readonly interface?: number | undefined
}

/** Where the socket is. */
export interface DestroyOptions {
  /** A process in the network namespace that is meant, as {@link SocketFilter.pid}. Default: the caller's namespace. */
  readonly pid?: number | undefined
}

/** INET_DIAG_NOCOOKIE: the kernel would not compare, and hit whoever has the addresses. */
const ANY_COOKIE = 2n ** 64n - 1n

/**
 * Ends a TCP connection at once, whoever owns it: `SOCK_DESTROY`, sock_diag(7). Its owner's calls fail with
 * `ECONNABORTED`, its peer gets a RST. It goes by the cookie, so it hits the connection that was listed and never another that
 * has its addresses by now.
 *
 * @param record what `listSockets` yielded, or the same made by hand.
 * @param options the `pid` that was given to `listSockets`, if any.
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE`, with `field` naming
 * what of the record is wrong. {@link DeadpeerError}:
 * - `EPERM`: it takes CAP_NET_ADMIN over the network namespace, capabilities(7); with `syscall` `'setns'`: the namespace of `pid` may not be
 *   entered.
 * - `ESRCH`: there is no process `pid`.
 * - `ENOENT`: it is gone already.
 * - `ERR_AMBIGUOUS_ADDRESS`: a listener that is alive, but by its address Linux finds others only: some of those that share it
 *   (`SO_REUSEPORT`) have a CPU of their own (`SO_INCOMING_CPU`), or `interface` is not what it is bound to. Without either, each of many
 *   listeners that share an address is found.
 * - `EAGAIN`: a listener of which neither can be said, for others of its port come and go too fast.
 * - `EOPNOTSUPP`: the kernel was built without CONFIG_INET_DIAG_DESTROY.
 * - `ERR_UNSUPPORTED_PLATFORM`: needs the native core.
 * @example
 * ```ts
 * for (const record of await listSockets({ remotePort: 5432, states: ['close-wait'] })) destroySocket(record)
 * ```
 */
export function destroySocket(record: SocketIdentity, options: DestroyOptions = {}): void {
  if (typeof record !== 'object' || record === null) {
    throw new InvalidTypeError(
      'The record must be an object with local, remote and cookie, as listSockets yields it.',
      { field: 'record' },
    )
  }
  const { local, remote, cookie, interface: index = 0 } = record
  const family = checkEnd(local, 'local')
  if (checkEnd(remote, 'remote') !== family) {
    throw new InvalidTypeError(`remote.address is not IPv${family}, as local.address is.`, {
      field: 'remote.address',
    })
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
    throw new InvalidTypeError(`${field} must be an object with address and port.`, { field })
  }
  const { address, port } = end as SocketAddress
  const family = typeof address === 'string' ? net.isIP(address) : 0
  // With a zone (fe80::1%eth0) it is the interface that would have to say so.
  if (family === 0 || address.includes('%')) {
    throw new InvalidTypeError(`${field}.address must be an IPv4 or IPv6 address, without a zone.`, {
      field: `${field}.address`,
    })
  }
  portOrNone(port, `${field}.port`)
  return family
}

const interfaceIndex = whole({ min: 0, max: 2 ** 31 - 1 })

/** A listener's far end has the port 0. */
const portOrNone = whole({ min: 0, max: 65_535 })

function checkCookie(cookie: unknown): void {
  const field = 'cookie'
  if (typeof cookie !== 'bigint') throw new InvalidTypeError('cookie must be a bigint.', { field })
  if (cookie > 0n && cookie < ANY_COOKIE) return
  throw new OutOfRangeError(`cookie must be the cookie of a socket; got ${cookie}.`, { field })
}

/** How the native core says that the kernel finds only others. */
const ENOTUNIQ = -76

function destroyError({ errno }: NativeFailure, { local, remote }: SocketIdentity): DeadpeerError {
  const constant = 'SOCK_DESTROY'
  if (errno === ENOTUNIQ) {
    return new DeadpeerError(
      'ERR_AMBIGUOUS_ADDRESS',
      `The listener at ${nameOf(local)} is alive, but by that address Linux finds others only: those that share it have a CPU of their own ` +
        '(SO_INCOMING_CPU), or its interface is not the one given. Nothing was destroyed.',
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
          return `Not permitted to destroy ${which} (${name}): it takes CAP_NET_ADMIN over the network namespace.`
        case 'ENOENT':
          return `${which} is gone already (${name}); nothing was destroyed.`
        case 'EOPNOTSUPP':
        case 'ENOTSUP':
          return [
            'EOPNOTSUPP',
            `This kernel cannot destroy sockets (${name}): it was built without CONFIG_INET_DIAG_DESTROY.`,
          ]
        default:
          return `${which} could not be destroyed: ${words} (${name}).`
      }
    },
    { constant },
  )
}

function nameOf({ address, port }: SocketAddress): string {
  return net.isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`
}
