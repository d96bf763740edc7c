import net from 'node:net'
import { InvalidArgumentError } from 'commander'
import type { SocketEnd } from '../../host/index.js'
import { portArgument } from './selection-argument.js'

/** One connection, as one names it. */
export type ConnectionName =
  | { readonly pid: number; readonly fd: number }
  | { readonly local: SocketEnd; readonly remote: SocketEnd }
  | { readonly port: number }

const wanted =
  'A connection is <pid>:<fd> as ls shows it, <local>-<remote> such as 10.0.0.1:5432-[::1]:80, or a port.'

/** 4711:23, 127.0.0.1:5000-127.0.0.1:6000, [::1]:5000-[::1]:6000, or 5432. */
export function connectionArgument(text: string): ConnectionName {
  const [, pid, fd] = /^(\d{1,9}):(\d{1,9})$/.exec(text) ?? []
  if (pid !== undefined) return { pid: Number(pid), fd: Number(fd) }
  if (/^\d+$/.test(text)) return { port: portArgument(text) }
  const ends = text.split('-').map(parseEnd)
  const [local, remote] = ends
  if (ends.length !== 2 || !local || !remote) throw new InvalidArgumentError(wanted)
  return { local, remote }
}

function parseEnd(text: string): SocketEnd | undefined {
  const [, ipv6, ipv4, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const isAddress = ipv6 === undefined ? net.isIPv4(ipv4 ?? '') : net.isIPv6(ipv6)
  return isAddress && Number(port) <= 65_535 ? { address: (ipv6 ?? ipv4)!, port: Number(port) } : undefined
}
