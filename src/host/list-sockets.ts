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
 * Lists the TCP sockets of this network namespace, or of that of a process, whoever has them open: sock_diag(7), `NETLINK_SOCK_DIAG`. What `ss -tan` shows, without
 * privileges, off the event loop (about a millisecond of a pool thread for 1,000 sockets), and filtered by the kernel.
 *
 * Sockets come and go meanwhile, and one that does may be listed or not. One that stays is listed, or the list says that it may not be
 * complete: {@link SocketList.interrupted}. Linux itself does not tell when it passes sockets over, so it is looked after here: where the
 * kernel has paused, once in 80 sockets or so, those listed last must still be there; and listeners that do not fit into one answer are listed
 * twice and must be the same. Those that a filter leaves out cannot be looked at, so what does not fit into one answer is then listed twice as
 * well, and what the one list lacks is taken from the other. That does not see more than six to a hash bucket (far more sockets than the
 * machine's memory is made for, or a small `net.ipv4.tcp_child_ehash_entries`).
 *
 * With `pid` the kernel is asked from a thread that enters that process's network namespace for the duration of the list (setns(2)). Records of
 * another namespace go with {@link readSocketOwners} and {@link borrowSocket} as any others do; {@link destroySocket} takes the same `pid`.
 *
 * @param filter which sockets, and whether with tcp_info; without one, all.
 * @throws (rejects) {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE` for a bad filter, before
 * anything is opened; {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM` where there is no native core or the kernel has no sock_diag, or
 * the errno where a sandbox forbids it; with `pid` `ESRCH` for a process that is not there, `EACCES` where its namespace may not be looked up, and
 * `EPERM` with `syscall` `'setns'` where it may not be entered (CAP_SYS_ADMIN); the signal's reason once it is aborted.
 * @example
 * ```ts
 * // Peers that answer no keepalive probe
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
