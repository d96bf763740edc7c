import { once } from 'node:events'
import * as net from 'node:net'
import { capabilities, type Inspection, inspect, type Profile, tune } from 'deadpeer'
import { listSockets } from 'deadpeer/host'
import { HttpAgent } from 'deadpeer/http'
import { getKeepAliveInterval } from 'deadpeer/net-keepalive'
import { plan } from 'deadpeer/plan'
import { blackHole } from 'deadpeer/testing'

// A type that is not found is `any`, and then the errors that are expected here do not occur.

const profile: Profile = { initialDelay: 7_000, interval: 3_000, count: 4 }

async function main(): Promise<void> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const { port } = server.address() as net.AddressInfo
  const socket = net.connect(port, '127.0.0.1')
  const [peer] = (await accepted) as [net.Socket]
  tune(socket, profile)
  const inspection: Inspection = inspect(socket)
  const sockets = await listSockets({ localPort: port })
  const { native, reason } = capabilities()
  const interval: number = getKeepAliveInterval(socket)
  const ok = interval === 3_000 && sockets.length > 0 && plan({ path: ['aws-nlb'] }).profile.count! > 0
  new HttpAgent({ profile: 'datacenter' }).destroy()
  for (const each of [socket, peer]) each.destroy()
  server.close()
  console.log(JSON.stringify({ native, reason, count: ok ? inspection.profile.count : undefined }))
}

export function mistakes(socket: net.Socket): void {
  // @ts-expect-error
  tune(socket, 'clowd')
  // @ts-expect-error
  tune({}, profile)
  // @ts-expect-error
  void listSockets({ states: ['open'] })
  // @ts-expect-error
  new HttpAgent({ profile: 5 })
  // @ts-expect-error
  getKeepAliveInterval()
  // @ts-expect-error
  plan({ paths: [] })
  // @ts-expect-error
  blackHole()
}

void main()
