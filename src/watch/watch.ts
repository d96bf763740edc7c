import { checkNoTarget } from '../connection/not-a-target.js'
import { checkWatchOptions, type WatchOptions } from './watch-options.js'
import { Watcher } from './watcher.js'

/**
 * Reports the death of a connection's peer when the kernel gives the connection up, by the settings of {@link tune}. It also notices deaths on
 * sockets that the program does not read, where Node does not. The socket is then destroyed, with an error code that programs handle already.
 *
 * It does no work until a connection ends: its one thread sleeps. Without a `heartbeat` it sends no probes, so the death of an idle peer is found
 * only if keepalive is on. Neither the watcher nor waiting for a death holds the process open. If a peer
 * closes its side, `closing` is emitted and the socket is not destroyed: the data that the peer sent stays readable. If the peer dies after
 * that, the socket is destroyed once all of it has been read.
 *
 * An orderly close is not a death. A connection that both sides have ended counts as closed, even if the peer resets it afterwards. TLS peers do that
 * if they do not wait for a close_notify. If Node reads or writes a socket, Node decides whether a reset is an error.
 *
 * `death.error` is always a {@link PeerDeathError}. The socket is destroyed with it. If Node found the death first (`detectedBy` is
 * `node`), the socket emits Node's own error instead, which is the `cause` of `death.error`.
 *
 * `reason` comes from the kernel's counters. Only `unreachable` needs the socket's error as well. Reading that error clears it for
 * Node, so it is read only if the socket is being destroyed. With `'report'`, and when a function decides, such a
 * death has the reason `user-timeout` or `retransmission`.
 *
 * **Suspicion**, for programs that listen to `suspect` or `recover`: the kernel's counters are sampled, as often as the connection's own
 * settings require. A connection with an `initialDelay` of 30 s whose peer was heard 2 s ago is not sampled for 28 s. The watcher emits `suspect` at
 * least one `interval` before the kernel gives the peer up. That requires two or more probes, and a round trip shorter than `interval`. Each
 * `suspect` is followed by `recover`, once the peer has been heard, or by the end of the connection.
 *
 * **Heartbeat**: a peer that has not been heard for `every` is probed as by {@link probe}. It is `dead` with the reason `heartbeat` when
 * `attempts` probes have gone unanswered. With `{ every: 1_000 }` that takes 3 s at most; keepalive with as many probes takes 4. Connections with recent
 * traffic are not probed. While the kernel itself probes or retransmits (keepalive, data in flight, a closed window), the watcher adds no probes. It
 * counts the kernel's own as attempts. So a live peer that does not read stays connected, which `userTimeout` would end. A peer that has closed its
 * side is left to the kernel's timers. With a loss rate of p, a live peer is declared dead with probability p^`attempts` at each heartbeat.
 *
 * Suspicion and heartbeat do not hold the process open. Both handle thousands of connections in slices of 1 ms of the event loop.
 *
 * Without the native core there is neither suspicion nor heartbeat (`ERR_UNSUPPORTED_PLATFORM`). Only deaths that Node notices are reported,
 * as `detectedBy: 'node'` and without counters: an `ETIMEDOUT` is then always called `keepalive`.
 *
 * If a listener or `onDead` throws, the error becomes an uncaught exception, as in Node. The watcher first announces the other deaths of the same
 * turn of the event loop. The other sockets stay watched.
 *
 * Every death is also published once on the `node:diagnostics_channel` `deadpeer:death`.
 *
 * @throws {@link InvalidTypeError}, {@link OutOfRangeError} for bad options; {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM` for a
 * heartbeat without the native core; the reason of a `signal` that is aborted already.
 * @example
 * ```ts
 * const watcher = watch()
 * watcher.add(server) // the connections that it accepts from now on
 * watcher.add(socket)
 * watcher.on('dead', ({ remote, reason, evidence }) => console.log(remote.address, reason, evidence))
 * server.on('connection', (socket) => socket.on('error', () => {})) // a socket that is destroyed emits 'error'
 * ```
 * @example
 * ```ts
 * const watcher = watch({ heartbeat: { every: 5_000 } })
 * watcher.on('suspect', ({ socket, evidence }) => pool.setAside(socket, evidence))
 * watcher.on('recover', ({ socket }) => pool.takeBack(socket))
 * watcher.add(server).add(control, { heartbeat: { every: 1_000, attempts: 5 } })
 * server.on('connection', (socket) => socket.on('error', () => {}))
 * ```
 * @example
 * ```ts
 * for await (const { reason, silentFor } of watch({ onDead: 'report' }).add(pool)) …
 * ```
 */
export function watch(options: WatchOptions = {}): Watcher {
  checkNoTarget(options)
  const { onDead, heartbeat, proof, signal } = checkWatchOptions(options)
  signal?.throwIfAborted()
  return new Watcher(onDead, heartbeat, proof, signal)
}
