import type { OwnTarget } from '../connection/target.js'
import { number } from '../options/check.js'
import { shares } from '../options/ranges.js'
import { attachFilter, type Impairment } from './impairment.js'

const shareOfSegments = number(shares)

/**
 * Simulates packet loss, for tests. It drops a random share of the segments that arrive at the peer's socket, each independently, with or without
 * data. Pass the *peer's* socket. The peer can still send; for loss in both directions, pass both ends.
 *
 * TCP retransmits lost data, so a program still works, only slower. With a share of 0.3, it sometimes waits for a retransmission timeout (`rto` of
 * tcp_info, 200 ms on loopback). A lost keepalive probe or ACK is not retransmitted: the kernel sends the next probe when it is due.
 *
 * It attaches a classic BPF filter with `SKF_AD_RANDOM`: `SO_ATTACH_FILTER`, socket(7). It replaces a filter that other code has attached. Of
 * several shares on one socket, the latest is in force, not their sum or product; when it is restored, the one before applies again. A
 * {@link blackHole} overrides all shares.
 *
 * A segment that the kernel handles as one is lost as one: up to 64 KiB over loopback, and merged segments (GRO) elsewhere. On a listening
 * descriptor, it drops segments of handshakes. The connections that it accepts inherit the filter and keep it, also after `restore()`.
 *
 * @param share the share to drop, 0 … 1, to within 2⁻³³. 0 drops nothing, 1 everything, as a black hole does.
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE` for a bad share.
 * {@link DeadpeerError} as {@link blackHole}.
 * @example
 * ```ts
 * server.once('connection', (peer) => {
 *   using bad = lossy(peer, 0.2)
 *   // … the client must still reach the server, and must not report it as dead
 * })
 * ```
 */
export function lossy(peer: OwnTarget, share: number): Impairment {
  shareOfSegments(share, 'share')
  const { release } = attachFilter(peer, 'loss', share)
  return { restore: release, [Symbol.dispose]: release }
}
