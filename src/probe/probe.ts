import { checkOrder } from '../connection/not-a-target.js'
import { type Target, targetsOf } from '../connection/target.js'
import { requireCore } from '../kernel/binding.js'
import { abortSignal, callback, checkOptions, milliseconds, type Options, whole } from '../options/check.js'
import { probeAttempts, probeTimeout } from '../options/ranges.js'
import { type Confirm, confirmOption, unprovenOption } from './confirm.js'
import type { ProbeResult } from './result.js'
import { aborted, type ProbeParameters, startProbes } from './sessions.js'
import { isConnecting, untilConnected } from './until-connected.js'

/** How {@link probe} and {@link probeAll} probe. */
export interface ProbeOptions {
  /**
   * How many attempts must go unanswered before the result is `alive: false`: 1 … 100. Attempts are at least 510 ms apart, also from the attempts of
   * an earlier probe. Default: 3.
   */
  attempts?: number
  /**
   * How long each attempt waits for an answer, in ms: 1 … 60 000. Never less than the connection's own retransmission timeout
   * (`tcpi_rto`). Default: 300.
   */
  timeout?: number
  /**
   * Sends something before silence becomes the result. If TCP acknowledges it, the result is `alive: true` with the evidence `confirmed`, and the
   * path is `deaf`. If `attempts` retransmissions go unacknowledged, the result is `alive: false`. `'ping'` needs a WebSocket of ws or an HTTP/2
   * session. Only for connections of this process. Default: none.
   *
   * @example
   * ```ts
   * const { alive } = await probe(webSocket, { confirm: 'ping' })
   * ```
   */
  confirm?: Confirm
  /**
   * `'dead'`: silence means `alive: false` also on a connection that has never answered a probe. On a path that passes data and no probes, such
   * a peer may be alive. Default: `alive: undefined` with the evidence `unproven-path` or `deaf-path`.
   */
  unproven?: 'dead'
  /**
   * Ends the wait: the results are then `aborted`. The connection's own options are still restored. It also ends the wait of {@link probe}
   * for a connection that is still connecting.
   */
  signal?: AbortSignal
  /**
   * Called with each result as soon as it is known, and with its target's index: 0 for {@link probe}. Called before the promise resolves, and
   * not for an `error`. For a borrowed socket it is called before the options are restored. If an unresponsive peer is heard before that, it is
   * called again. An error that it throws is an uncaught exception. Default: none.
   *
   * @example
   * ```ts
   * // Unresponsive peers are known within 2 s. The promise waits until these connections have ended by their own options.
   * await probeAll(borrowed, { onAnswer: ({ alive }, i) => console.log(borrowed[i].fd, alive) })
   * ```
   */
  onAnswer?: (result: ProbeResult, index: number) => void
}

/**
 * Finds out whether a peer is there now. It takes one round trip, works below the application protocol, and needs no privileges and no payload.
 *
 * Setting `TCP_KEEPIDLE` (tcp(7)) to at most the idle time makes the kernel send a keepalive probe at its next tick. Any segment from the
 * peer shows in `tcp_info`. Then the option is restored.
 *
 * Probing never shortens a connection's life. If the kernel is probing or retransmitting already, this only observes. The kernel counts our
 * unanswered probes with its own. So while a peer is unresponsive, `count` (or `userTimeout`) stays raised. The connection then ends when it would
 * have ended by its own options. Until then {@link inspect} shows the raised value as `inForce`. {@link tune} changes the values that are restored.
 *
 * Probes of one connection are shared within a thread. If another thread or process probes it, its unanswered probe shows in the counters, and this
 * only observes. Two probes that begin within the same few ms do not notice each other. Each may adopt the values that the other wrote as the owner's
 * options, and leave them in force. Probes of many connections are rate-limited, because a burst would be dropped on the way.
 *
 * If a connection is still connecting, this waits until it is connected or closed, or `signal` is aborted. That wait alone does not hold the
 * process open.
 *
 * The options of a borrowed socket are restored before this resolves. For an unresponsive peer that may take until the connection ends;
 * `onAnswer` gets the result sooner. Aborting `signal` restores the options at once. Unanswered probes then stay counted, and the connection may
 * end sooner by as many intervals.
 *
 * @throws (rejects) {@link InvalidTypeError}, {@link OutOfRangeError} for bad arguments; {@link DeadpeerError} `ERR_NOT_TCP`,
 * `ERR_SOCKET_CLOSED` for a descriptor that is not connected yet, `ERR_UNSUPPORTED_PLATFORM`, or the errno if a sandbox forbids it. Nothing is
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
 * Probes many peers at once, and returns the results in order. See {@link probe}. On loopback, 4,000 live peers take about 100 ms.
 *
 * A bad target does not affect the others. If a target is not a connection, is not connected yet, or the kernel refuses the probe, its
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
  const {
    attempts = 3,
    timeout = 300,
    confirm,
    unproven,
    signal,
    onAnswer,
  } = checkOptions(options, probeOptions)
  return {
    attempts,
    timeout,
    trustsSilence: unproven === 'dead',
    ...(confirm && { confirm }),
    ...(signal && { signal }),
    ...(onAnswer && { onAnswer }),
  }
}

const probeOptions: Options<ProbeOptions> = {
  of: 'probe()',
  example: '{ attempts: 3 }',
  checks: {
    attempts: whole(probeAttempts),
    timeout: milliseconds(probeTimeout),
    confirm: confirmOption,
    unproven: unprovenOption,
    signal: abortSignal,
    onAnswer: callback,
  },
}
