import net from 'node:net'
import type { SocketEnd } from '../../../host/index.js'
import { mustBe } from '../../lib/invalid-argument.js'

/** Only this host can connect to it. */
export const DEFAULT_LISTEN: SocketEnd = { address: '127.0.0.1', port: 9733 }

/** 9733, 0.0.0.0:9733 or [::1]:9733. A host name is refused, because it may have several addresses. */
export function listenArgument(text: string): SocketEnd {
  const [, ipv6, ipv4, digits = ''] = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d{1,5})$/.exec(text) ?? []
  const address = ipv6 ?? ipv4 ?? DEFAULT_LISTEN.address
  const isAddress = ipv6 === undefined ? net.isIPv4(address) : net.isIPv6(address)
  const port = Number(digits)
  if (isAddress && digits !== '' && port <= 65_535) return { address, port }
  throw mustBe('a port, or an address and a port such as 0.0.0.0:9733 or [::]:9733; port 0 is any free port')
}
