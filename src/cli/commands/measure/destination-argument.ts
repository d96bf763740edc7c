import net from 'node:net'
import { mustBe } from '../../lib/invalid-argument.js'

export interface DestinationArgument {
  readonly host: string
  readonly port: number
}

/** HOST:PORT, where an IPv6 address is in brackets: db:5432, 192.0.2.1:5432, [2001:db8::1]:5432. */
export function destinationArgument(text: string): DestinationArgument {
  const [, address, name, digits] = /^(?:\[([^\]]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(text) ?? []
  const host = address ?? name
  const port = Number(digits)
  const isRight = address === undefined || net.isIPv6(address)
  if (host !== undefined && isRight && port >= 1 && port <= 65_535) return { host, port }
  throw mustBe('HOST:PORT such as db.example.com:5432 or [2001:db8::1]:5432')
}
