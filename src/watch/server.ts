import type net from 'node:net'

/**
 * The event by which a server hands over what it has accepted. A TLS server's `'connection'` has the raw socket, which nobody is
 * to destroy under the TLSSocket that the program has. Told by a method: a program without TLS need not load that.
 */
export function acceptedEvent(server: net.Server): 'connection' | 'secureConnection' {
  return 'setSecureContext' in server ? 'secureConnection' : 'connection'
}
