import type { OwnTarget } from '../connection/target.js'
import { attachFilter, type Impairment } from './impairment.js'

/**
 * Makes a path deaf, for tests: it drops keepalive and window probes and passes everything else, data and ACKs of data included. AWS Global
 * Accelerator and Docker Desktop for macOS do that. Keepalive ends such a connection although its peer is alive. Pass the *peer's* socket: the
 * other end of the connection that sends the probes.
 *
 * It attaches an eBPF filter that recognises probes by RFC 9293, 3.8.4. It drops each segment without payload whose sequence number is below the
 * highest seen: `SO_ATTACH_BPF`, socket(7). A pure ACK that arrives after data that was sent later looks the same and is dropped too. TCP does not
 * need that ACK. SYN, FIN and RST pass. A {@link blackHole} on the same socket overrides it, and it overrides {@link lossy}.
 *
 * The other end's connection counts as `unproven` from then on, even within this host, until it shows whether it answers probes.
 *
 * @throws {@link DeadpeerError} `EPERM` without CAP_BPF (CAP_SYS_ADMIN before Linux 5.8) and CAP_NET_ADMIN: run the test as root. A user namespace
 * is not enough. Otherwise as {@link blackHole}.
 * @example
 * ```ts
 * server.once('connection', (peer) => {
 *   using path = deaf(peer)
 *   // … the client must not report the server as dead
 * })
 * ```
 */
export function deaf(peer: OwnTarget): Impairment {
  const { release } = attachFilter(peer, 'deaf', 1)
  return { restore: release, [Symbol.dispose]: release }
}
