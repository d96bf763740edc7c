import type { OwnTarget } from '../connection/target.js'
import { checkOptions, type Options, whole } from '../options/check.js'
import { type BriefBlackHole, endAfter } from './brief-black-hole.js'
import { attachFilter, type Impairment } from './impairment.js'

/**
 * Makes a peer vanish, for tests. Its socket receives nothing, so it acknowledges nothing and sends neither FIN nor RST. The same happens after a
 * power cut, or behind a NAT that has dropped the connection. Pass the *peer's* socket: the other end of the connection that is to notice. The peer
 * can still send.
 *
 * It attaches a classic BPF filter that drops every segment: `SO_ATTACH_FILTER`, socket(7). It replaces a filter that other code has attached.
 * Filters of this module work together: when the last black hole is restored, the socket receives again, with the loss of {@link lossy}, if any.
 *
 * With `segments`, it drops that many segments and then ends by itself: see {@link BriefBlackHole}.
 *
 * @param options `segments`: the number of segments to drop, a whole number from 1. Default: all, until it is restored.
 * @throws {@link DeadpeerError} `EPERM` without CAP_NET_ADMIN in the network namespace, which current kernels require; the
 * message tells how to run a test without privileges. `ERR_SOCKET_CLOSED`, `ERR_NOT_TCP`, `ERR_UNSUPPORTED_PLATFORM`.
 * {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE` for bad options.
 * @example
 * ```ts
 * server.once('connection', (peer) => {
 *   using gone = blackHole(peer)
 *   // … the client's own error handling runs within its detectionTime
 * })
 * ```
 * @example
 * ```ts
 * // Two keepalive probes are lost, the third is acknowledged: the connection must stay open.
 * const hole = blackHole(peer, { segments: 2 })
 * await hole.done
 * ```
 */
export function blackHole(peer: OwnTarget, options?: { readonly segments?: undefined }): Impairment
export function blackHole(peer: OwnTarget, options: { readonly segments: number }): BriefBlackHole
export function blackHole(
  peer: OwnTarget,
  options: { readonly segments?: number | undefined } = {},
): Impairment | BriefBlackHole {
  const { segments } = checkOptions(options, blackHoleOptions)
  const held = attachFilter(peer, 'black hole', 1)
  if (segments !== undefined) return endAfter(segments, held)
  return { restore: held.release, [Symbol.dispose]: held.release }
}

const blackHoleOptions: Options<{ segments?: number | undefined }> = {
  of: 'blackHole()',
  example: '{ segments: 3 }',
  checks: { segments: whole({ min: 1, max: 2 ** 31 - 1 }) },
}
