import { checkOrder } from '../connection/not-a-target.js'
import { type Target, targetsOf } from '../connection/target.js'
import { requireCore } from '../kernel/binding.js'
import { abortSignal, callback, checkOptions, milliseconds, type Options, whole } from '../options/check.js'
import { probeAttempts, probeTimeout } from '../options/ranges.js'
import type { ProbeResult } from './result.js'
import { aborted, type ProbeParameters, startProbes } from './sessions.js'
import { isConnecting, untilConnected } from './until-connected.js'

/** How {@link probe} and {@link probeAll} probe. */
export interface ProbeOptions {
  /**
   * How many attempts go unanswered before the peer is called silent: 1 … 100, at least 510 ms apart, also from those of a probe before.
   * Default: 3.
   */
  attempts?: number
  /**
   * How long each attempt waits for an answer, in ms: 1 … 60 000. Never less than the connection's own retransmission timeout
   * (`tcpi_rto`). Default: 300.
   */
  timeout?: number
  /**
   * Ends the wait: the results are then `aborted`. The connection's own options go back all the same. It also ends the wait of {@link probe}
   * for a connection that is still connecting.
   */
  signal?: AbortSignal
  /**
   * Called with each result as soon as it is known, and with its target's index: 0 for {@link probe}. For a borrowed socket that is before its
   * options are back. If a silent peer is heard before that, it is called again. Called before the promise resolves, and not for an `error`. What
   * it throws is an uncaught exception. Default: none.
   *
   * @example
   * ```ts
   * // Silent peers are known within two seconds. The promise waits until their own options have ended these connections.
   * await probeAll(borrowed, { onAnswer: ({ alive }, i) => console.log(borrowed[i].fd, alive) })
   * ```
   */
  onAnswer?: (result: ProbeResult, index: number) => void
}

/**
 * Finds out whether a peer is there, now: in one round trip, below the application protocol, without privileges and without a byte of payload.
 *
 * `TCP_KEEPIDLE` (tcp(7)) set to no more than the idle time makes the kernel send a keepalive probe at its next tick. Any segment from the peer
 * shows in `tcp_info`. Then the option goes back.
 *
 * Probing never shortens a connection's life. If the kernel is probing or retransmitting already, this only observes. The kernel counts our
 * unanswered probes with its own, so while a peer is silent, `count` (or `userTimeout`) stays raised by as much, until the peer is heard or the
 * connection ends when it would have anyway. Until then {@link inspect} shows it as `inForce`. {@link tune} changes what goes back.
 *
 * Probes of one connection are shared within a thread. Another thread or process that probes it is recognised by its unanswered probe, and only
 * observed. Two that begin within the same few ms do not see each other: each takes what the other has written for the owner's options, and
 * that may stay. Probes of many connections are rate-limited, since a burst would be dropped on the way.
 *
 * A connection that is still connecting is waited for, until it is connected or closed, or `signal` is aborted. That wait alone does not hold
 * the process open.
 *
 * A borrowed socket gets its options back before this resolves. For a silent peer that may take until the connection ends; `onAnswer` tells
 * sooner. `signal` cuts it short, at a price: unanswered probes stay counted, and the connection may end sooner by as many intervals.
 *
 * @throws (rejects) {@link InvalidTypeError}, {@link OutOfRangeError} for bad arguments; {@link DeadpeerError} `ERR_NOT_TCP`,
 * `ERR_SOCKET_CLOSED` for a descriptor that is not connected yet, `ERR_UNSUPPORTED_PLATFORM`, or the errno if a sandbox forbids it. Nothing has
 * changed then. A closed connection is not an error.
 * @example
 * ```ts
 * const { alive, evidence } = await probe(socket)
 * if (alive === false) socket.destroy(new Error(`peer is gone: ${evidence}`))
 * ```
 */
export async function probe(target: Target, options: ProbeOptions = {}): Promise<ProbeResult> {
  checkOrder(target, options, 'probe(target, options)')
  const parameters = parametersFrom(options)
  const core = requireCore('A probe')
  if (!isConnecting(target)) return await startProbes(core, [target], parameters)[0]!
  const connected = await untilConnected(target, parameters.signal)
  if (connected) return await startProbes(core, [connected], parameters)[0]!
  if (parameters.onAnswer) queueMicrotask(() => parameters.onAnswer!({ ...aborted }, 0))
  return { ...aborted }
}

/**
 * Probes many peers at once, and returns the results in order. See {@link probe}. Four thousand that answer take 100 ms.
 *
 * A bad target does not fail the others. If a target is not a connection, is not connected yet, or the kernel refuses the probe, its
 * result has `evidence: 'error'` and the `error`. Unlike `probe`, this does not wait for a connection.
 *
 * @throws (rejects) {@link InvalidTypeError}, {@link OutOfRangeError} for bad options, and if `targets` is not iterable;
 * {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM`. Never for a bad target.
 * @example
 * ```ts
 * const results = await probeAll(pool, { attempts: 1 })
 * const gone = pool.filter((_, i) => results[i]!.alive === false)
 * ```
 */
export async function probeAll(
  targets: Iterable<Target>,
  options: ProbeOptions = {},
): Promise<ProbeResult[]> {
  const parameters = parametersFrom(options)
  const list = targetsOf(targets, 'probe')
  const settled = await Promise.allSettled(startProbes(requireCore('A probe'), list, parameters))
  return settled.map((each) => (each.status === 'fulfilled' ? each.value : failed(each.reason)))
}

function failed(error: Error): ProbeResult {
  return { alive: undefined, evidence: 'error', error, attempts: 0, idleFor: Number.NaN }
}

function parametersFrom(options: ProbeOptions): ProbeParameters {
  const { attempts = 3, timeout = 300, signal, onAnswer } = checkOptions(options, probeOptions)
  return { attempts, timeout, ...(signal && { signal }), ...(onAnswer && { onAnswer }) }
}

const probeOptions: Options<ProbeOptions> = {
  of: 'probe()',
  example: '{ attempts: 3 }',
  checks: {
    attempts: whole(probeAttempts),
    timeout: milliseconds(probeTimeout),
    signal: abortSignal,
    onAnswer: callback,
  },
}
