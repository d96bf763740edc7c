import net from 'node:net'
import type { SocketEnd } from '../../../host/index.js'
import { ports } from '../../../options/ranges.js'
import { mustBe } from '../../lib/invalid-argument.js'

/** The three ways to name one connection. */
export type ConnectionName =
  | { readonly pid: number; readonly fd: number }
  | { readonly local: SocketEnd; readonly remote: SocketEnd }
  | { readonly port: number }

/** 4711:23, 127.0.0.1:5000-127.0.0.1:6000, [::1]:5000-[::1]:6000, or 5432. */
export function connectionArgument(text: string): ConnectionName {
  const [, pid, fd] = /^(\d{1,9}):(\d{1,9})$/.exec(text) ?? []
  if (pid !== undefined) return { pid: Number(pid), fd: Number(fd) }
  if (/^\d{1,5}$/.test(text) && isPort(Number(text))) return { port: Number(text) }
  const ends = text.split('-').map(parseEnd)
  const [local, remote] = ends
  if (ends.length === 2 && local && remote) return { local, remote }
  throw mustBe(
    '<pid>:<fd> as ls shows it, <local>-<remote> such as 10.0.0.1:5432-[::1]:80, or a port from 1 to 65535',
  )
}

function isPort(number: number): boolean {
  return number >= ports.min && number <= ports.max!
}

function parseEnd(text: string): SocketEnd | undefined {
  const [, ipv6, ipv4, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const isAddress = ipv6 === undefined ? net.isIPv4(ipv4 ?? '') : net.isIPv6(ipv6)
  return isAddress && Number(port) <= 65_535 ? { address: (ipv6 ?? ipv4)!, port: Number(port) } : undefined
}
