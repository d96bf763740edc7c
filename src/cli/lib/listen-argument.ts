import net from 'node:net'
import { InvalidArgumentError } from 'commander'
import type { SocketEnd } from '../../host/index.js'

/** Where to listen unless it is said: at nobody's disposal but this host's. */
export const DEFAULT_LISTEN: SocketEnd = { address: '127.0.0.1', port: 9733 }

/** 9733, 0.0.0.0:9733 or [::1]:9733. An address, and no name: which of its addresses it stands for would have to be guessed. */
export function listenArgument(text: string): SocketEnd {
  const [, ipv6, ipv4, digits = ''] = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d{1,5})$/.exec(text) ?? []
  const address = ipv6 ?? ipv4 ?? DEFAULT_LISTEN.address
  const isAddress = ipv6 === undefined ? net.isIPv4(address) : net.isIPv6(address)
  const port = Number(digits)
  if (isAddress && digits !== '' && port <= 65_535) return { address, port }
  throw new InvalidArgumentError(
    'It is a port, or an address and a port such as 0.0.0.0:9733 or [::]:9733; port 0 is any that is free.',
  )
}
