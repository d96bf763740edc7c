import type { OwnTarget } from '../connection/target.js'
import { number } from '../options/check.js'
import { shares } from '../options/ranges.js'
import { hold, type Impairment } from './impairment.js'

const shareOfSegments = number(shares)

/**
 * Makes a peer hard to reach, for tests: of the segments that arrive at its socket, a share is dropped at random, each
 * independently, with or without data. Pass the *peer's* socket. What the peer itself sends still leaves; for loss both
 * ways, pass each end.
 *
 * Data that is lost is sent again, so a program still runs over it, only slower: a share of 0.3 costs a retransmission timeout
 * (`rto` of tcp_info, 200 ms on loopback) now and then. Keepalive probes and answers that are lost are not sent again
 * before the next is due.
 *
 * A classic BPF filter on `SKF_AD_RANDOM`: `SO_ATTACH_FILTER`, socket(7). It replaces a filter that the socket has, but for
 * those of this module. The latest share that has not been restored is in force, not their sum or product, and
 * behind it the one before; a {@link blackHole} wins over all.
 *
 * What the kernel handles as one segment is lost as one: over loopback up to 64 KiB, and elsewhere what it has put together
 * (GRO). A listening descriptor loses of the handshakes, and the connections that it accepts inherit its filter and keep
 * it, also after `restore()`.
 *
 * @param share the share that is dropped, 0 … 1, to within 2⁻³³. 0 drops nothing, 1 everything, as a black hole.
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE` for a bad share.
 * {@link DeadpeerError} as {@link blackHole}.
 * @example
 * ```ts
 * server.once('connection', (peer) => {
 *   using bad = lossy(peer, 0.2)
 *   // … the client gets through all the same, and calls nobody dead
 * })
 * ```
 */
export function lossy(peer: OwnTarget, share: number): Impairment {
  shareOfSegments(share, 'share')
  const { release } = hold(peer, 'loss', share)
  return { restore: release, [Symbol.dispose]: release }
}
