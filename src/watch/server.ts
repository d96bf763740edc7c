import type net from 'node:net'
import type { WebSocketSource } from '../socket/listening.js'

/** What emits the connections that it accepts. */
export type AcceptingServer = net.Server | WebSocketSource

/**
 * The event by which a server hands over what it has accepted. A TLS server's `'connection'` has the raw socket, which nobody is
 * to destroy under the TLSSocket that the program has. Told by a method: a program without TLS need not load that.
 */
export function acceptedEvent(server: AcceptingServer): 'connection' | 'secureConnection' {
  return 'setSecureContext' in server ? 'secureConnection' : 'connection'
}
