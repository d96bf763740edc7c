import { type Target, targetsOf } from '../connection/target.js'
import { DeadpeerError } from '../errors.js'
import { requireCore } from '../kernel/binding.js'
import { abortSignal, callback, checkOptions, milliseconds, type Options, whole } from '../options/check.js'
import type { ProbeResult } from './result.js'
import { aborted, ask, type Wish } from './sessions.js'
import { isConnecting, untilConnected } from './until-connected.js'

/** How {@link probe} and {@link probeAll} ask. */
export interface ProbeOptions {
  /**
   * How often the peer is asked until it is called silent: 1 … 100, at least 510 ms apart, also from those of a question before.
   * Default: 3.
   */
  attempts?: number
  /**
   * How long each attempt waits for an answer, in ms: 1 … 60 000. Never less than the connection's own retransmission timeout
   * (`tcpi_rto`). Default: 300.
   */
  timeout?: number
  /**
   * Ends the wait: the results are `aborted` then. What the question changed goes back all the same. It also ends the wait of
   * {@link probe} for a connection that is still connecting.
   */
  signal?: AbortSignal
  /**
   * Called with each answer as soon as it is known, and its target's place among the targets: 0 for {@link probe}. Of a borrowed socket
   * that is sooner than its options are back. It is called once more for one that was silent, and is heard before that. By then
   * the promise is not resolved. Not called for an `error`. What it throws is an uncaught exception. Default: none.
   *
   * @example
   * ```ts
   * // Silent ones are known within two seconds, and waited for until their own clock has ended them.
   * await probeAll(borrowed, { onAnswer: ({ alive }, i) => console.log(borrowed[i].fd, alive) })
   * ```
   */
  onAnswer?: (result: ProbeResult, index: number) => void
}

/**
 * Asks a peer whether it is there, now: in one round trip, below the application, without privileges and without a byte of payload.
 *
 * How: `TCP_KEEPIDLE` (tcp(7)) set to no more than the silence so far makes the kernel send a keepalive probe at its next tick, and
 * any segment of the peer shows in `tcp_info`. Then the option goes back.
 *
 * It never harms: a connection that would have lived without the question lives with it, and none ends sooner. Where
 * the kernel is asking already (probing, retransmitting, probing a closed window) it only watches. The kernel counts unanswered probes,
 * ours too. So of a peer that stays silent `count` (or `userTimeout`) stays raised by just as much, until it is
 * heard or the connection ends when it would have; {@link inspect} shows what goes back as `pending`. {@link tune} meanwhile
 * changes what that is.
 *
 * Questions to one connection are joined. Those to many are paced, since a burst of probes would be dropped on the way.
 * Joined within one thread, that is. Another thread or process that asks is known by its probe, as long as that is unanswered, and only watched.
 * Two that begin within the same few ms do not see each other: each takes what the other has written for the connection's own, and
 * that may stay.
 *
 * A connection that is still connecting is waited for, until it is connected, closed, or `signal` is aborted. That wait alone does not
 * hold the process open.
 *
 * A borrowed socket gets its options back before this resolves, which for a silent peer may take until the connection ends. `onAnswer`
 * tells sooner. `signal` cuts it short, at a price: unanswered probes stay counted, and the connection may end sooner by as many.
 *
 * @throws (rejects) {@link InvalidTypeError}, {@link OutOfRangeError} for bad arguments; {@link DeadpeerError} `ERR_NOT_TCP`,
 * `ERR_SOCKET_CLOSED` for a descriptor that is not connected yet, `ERR_UNSUPPORTED_PLATFORM`, or the errno where a sandbox forbids it.
 * Nothing has changed then. A connection that is closed is no error.
 * @example
 * ```ts
 * const { alive, evidence } = await probe(socket)
 * if (alive === false) socket.destroy(new Error(`peer is gone: ${evidence}`))
 * ```
 */
export async function probe(target: Target, options: ProbeOptions = {}): Promise<ProbeResult> {
  const wish = wishFor(options)
  const core = requireCore('A probe')
  if (isConnecting(target) && (await untilConnected(target, wish.signal))) {
    if (wish.onAnswer) queueMicrotask(() => wish.onAnswer!({ ...aborted }, 0))
    return { ...aborted }
  }
  return await ask(core, [target], wish)[0]!
}

/**
 * Probes many peers at once and returns the results in order. See {@link probe}. Four thousand take 100 ms if they answer.
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
  const wish = wishFor(options)
  const list = targetsOf(targets)
  const settled = await Promise.allSettled(ask(requireCore('A probe'), list, wish))
  return settled.map((each) => (each.status === 'fulfilled' ? each.value : failed(each.reason)))
}

function failed(error: Error): ProbeResult {
  return { alive: undefined, evidence: 'error', error, attempts: 0, idleFor: Number.NaN }
}

function wishFor(options: ProbeOptions): Wish {
  const { attempts = 3, timeout = 300, signal, onAnswer } = checkOptions(options, probeOptions)
  return { attempts, timeout, ...(signal && { signal }), ...(onAnswer && { onAnswer }) }
}

const probeOptions: Options<ProbeOptions> = {
  of: 'probe()',
  example: '{ attempts: 3 }',
  checks: {
    attempts: whole({ min: 1, max: 100 }),
    timeout: milliseconds({ min: 1, max: 60_000 }),
    signal: abortSignal,
    onAnswer: callback,
  },
}
