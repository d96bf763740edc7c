import { requireCore } from '../kernel/binding.js'
import {
  dumpSockets,
  type SocketList,
  type SocketRecordWithInfo,
  type StateWithInfo,
} from '../kernel/sock-diag.js'
import { untilAborted } from '../options/abort-signal.js'
import { checkFilter, type SocketFilter } from './filter.js'

/**
 * Lists the TCP sockets of all processes in a network namespace, as `ss -tan` does: sock_diag(7), `NETLINK_SOCK_DIAG`. It needs no privileges. It
 * runs off the event loop and takes about 1 ms of a pool thread for 1,000 sockets. The kernel applies the filter.
 *
 * A socket that opens or closes meanwhile may be listed or not. A socket that stays open is listed, or {@link SocketList.interrupted} is `true`.
 * Linux does not report when it skips sockets, so this function checks:
 *
 * - The kernel pauses about every 80 sockets. The last listed sockets must still exist after each pause.
 * - Listeners that do not fit into one reply of the kernel are listed twice. Both lists must be equal.
 * - With a filter, the skipped sockets cannot be checked. Then everything that does not fit into one reply is listed twice, and the two lists are
 * merged. This may miss sockets if more than six share a hash bucket. That happens with far more sockets than the hash table is sized for, or with a
 * small `net.ipv4.tcp_child_ehash_entries`.
 *
 * With `pid`, a thread enters the network namespace of that process for the duration of the call (setns(2)). {@link readSocketOwners} and
 * {@link borrowSocket} work with the records of another namespace too. Pass the same `pid` to {@link destroySocket}.
 *
 * @param filter which sockets to list, and whether with tcp_info. Default: all, without.
 * @throws (rejects) {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE` for a bad filter, before
 * it opens anything; {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM` if there is no native core or the kernel has no sock_diag, or the errno
 * if a sandbox forbids it. With `pid` also: `ESRCH` if there is no such process; `EACCES` if the caller may not look up its namespace; `EPERM`
 * with `syscall` `'setns'` if the caller may not enter it (CAP_SYS_ADMIN). The signal's reason if it is aborted.
 * @example
 * ```ts
 * // Peers that do not acknowledge keepalive probes
 * for (const socket of await listSockets({ states: ['established'] })) {
 *   if (socket.timer === 'keepalive' && socket.retries > 0) console.log(socket.remote.address, socket.retries)
 * }
 * ```
 */
export function listSockets(
  filter: SocketFilter & { info: true; states: readonly StateWithInfo[] },
): Promise<SocketList<SocketRecordWithInfo>>
export function listSockets(filter?: SocketFilter): Promise<SocketList>
export async function listSockets(filter: SocketFilter = {}): Promise<SocketList> {
  const { signal, ...query } = checkFilter(filter)
  const core = requireCore('Listing sockets')
  signal?.throwIfAborted()
  const { list, cancel } = dumpSockets(core, query)
  return signal ? untilAborted(signal, list, cancel) : list
}
