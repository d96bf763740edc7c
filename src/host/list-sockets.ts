import { DeadpeerError } from '../errors.js'
import { missingReason, nativeCore } from '../kernel/binding.js'
import { dumpSockets, type SocketList } from '../kernel/sock-diag.js'
import { checkFilter, type SocketFilter } from './filter.js'

/**
 * Lists the TCP sockets of this network namespace, whoever has them open: sock_diag(7), `NETLINK_SOCK_DIAG`. What `ss -tan` shows, without
 * privileges, off the event loop (about a millisecond of a pool thread for 1,000 sockets), and filtered by the kernel.
 *
 * Sockets come and go meanwhile, and one that does may be listed or not. A list that is known to be incomplete says so:
 * {@link SocketList.interrupted}. What Linux does not tell, and no other program knows either: a socket can be passed over if another of the
 * same hash bucket is closed just when the kernel hands over what it has so far, every hundred sockets or so.
 *
 * @param filter which sockets, and whether with tcp_info; without one, all.
 * @throws (rejects) {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE` for a bad filter, before
 * anything is opened; {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM` where there is no native core or the kernel has no sock_diag, or
 * the errno where a sandbox forbids it; the signal's reason once it is aborted.
 * @example
 * ```ts
 * // Peers that answer no keepalive probe
 * for (const socket of await listSockets({ states: ['established'] })) {
 *   if (socket.timer === 'keepalive' && socket.retries > 0) console.log(socket.remote.address, socket.retries)
 * }
 * ```
 */
export async function listSockets(filter: SocketFilter = {}): Promise<SocketList> {
  const { signal, ...query } = checkFilter(filter)
  const core = nativeCore()
  if (!core) {
    throw new DeadpeerError(
      'ERR_UNSUPPORTED_PLATFORM',
      `Listing sockets needs the native core: ${missingReason()}.`,
    )
  }
  return dumpSockets(core, query, signal)
}
