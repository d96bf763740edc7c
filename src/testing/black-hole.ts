import { InvalidTypeError, OutOfRangeError } from '../errors.js'
import { describe } from '../socket/profile.js'
import type { OwnTarget } from '../socket/target.js'
import { type BriefBlackHole, endAfter } from './brief-black-hole.js'
import { hold, type Impairment } from './impairment.js'

/**
 * Makes a peer vanish, for tests: its socket hears nothing any more, so it answers nothing, as after a power cut or
 * behind a NAT that has forgotten it. No FIN, no RST. Pass the *peer's* socket, the far end of the connection
 * that is to notice. What the peer itself sends still leaves.
 *
 * A classic BPF filter that drops every segment: `SO_ATTACH_FILTER`, socket(7). It replaces a filter that the socket has,
 * but for those of this module: a socket hears again when its last black hole is gone, with the loss that
 * {@link lossy} has given it, if any.
 *
 * With `segments` it swallows the next few only, and then hears again by itself: see {@link BriefBlackHole}.
 *
 * @param options `segments`: how many to swallow, a whole number from 1. Default: all, until it is restored.
 * @throws {@link DeadpeerError} `EPERM` without CAP_NET_ADMIN in the network namespace, which current kernels demand; the
 * message says how to get it unprivileged. `ERR_SOCKET_CLOSED`, `ERR_NOT_TCP`, `ERR_UNSUPPORTED_PLATFORM`.
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
 * // Two keepalive probes are lost, and the third is answered: the connection must live.
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
  const segments = checkOptions(options)
  const held = hold(peer, 'black hole', 1)
  if (segments !== undefined) return endAfter(segments, held)
  return { restore: held.release, [Symbol.dispose]: held.release }
}

/** The number of segments to swallow, if any is given. */
function checkOptions(options: unknown): number | undefined {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidTypeError(
      `Options are an object such as { segments: 3 }, not ${Array.isArray(options) ? 'an array' : describe(options)}.`,
      { field: 'options' },
    )
  }
  for (const key of Object.keys(options)) {
    if (key !== 'segments')
      throw new InvalidTypeError(`${key} is no option of a black hole; there is: segments.`, { field: key })
  }
  const { segments } = options as { segments?: unknown }
  if (segments === undefined) return undefined
  const wanted = 'a whole number from 1 to 2 147 483 647'
  if (typeof segments !== 'number') {
    throw new InvalidTypeError(`segments is ${describe(segments)}; it must be ${wanted}.`, {
      field: 'segments',
    })
  }
  if (!Number.isInteger(segments) || segments < 1 || segments > 0x7fffffff) {
    throw new OutOfRangeError(`segments is ${segments}; it must be ${wanted}.`, { field: 'segments' })
  }
  return segments
}
