import { once } from 'node:events'
import net from 'node:net'
import { onTestFinished } from 'vitest'

export interface Pair {
  /** The side that dialled, and that is watched. */
  readonly socket: net.Socket
  /** The side that was accepted: the peer. */
  readonly peer: net.Socket
}

export async function listen(server: net.Server, host = '127.0.0.1', port = 0): Promise<number> {
  server.listen(port, host)
  await once(server, 'listening')
  return (server.address() as net.AddressInfo).port
}

/** Connections on loopback, closed when the test ends. Errors are what these tests are about, so they do not crash. */
export async function connect(count: number, options: { host?: string } = {}): Promise<Pair[]> {
  const { host = '127.0.0.1' } = options
  const server = net.createServer({ pauseOnConnect: true })
  acceptedBy(server)
  const port = await listen(server, host)
  const pairs: Pair[] = []
  // Not more at a time than the queue of connections to be accepted holds.
  for (let left = count; left > 0; left -= 200) {
    const part = Array.from({ length: Math.min(200, left) }, () => connectOne(server, host, port))
    pairs.push(...(await Promise.all(part)))
  }
  onTestFinished(() => {
    for (const { socket, peer } of pairs) {
      socket.destroy()
      peer.destroy()
    }
    server.close()
  })
  return pairs
}

async function connectOne(server: net.Server, host: string, port: number): Promise<Pair> {
  const socket = net.connect(port, host)
  socket.on('error', () => {})
  const local = await new Promise<number>((resolve, reject) => {
    socket.once('connect', () => resolve(socket.localPort!))
    socket.once('error', reject)
  })
  const peer = await accepted(server, local)
  return { socket, peer }
}

const waiting = new WeakMap<net.Server, Map<number, net.Socket | ((peer: net.Socket) => void)>>()

/** The accepted end of the connection that comes from a port. */
function accepted(server: net.Server, port: number): Promise<net.Socket> {
  const known = acceptedBy(server)
  const peer = known.get(port)
  known.delete(port)
  if (peer !== undefined && typeof peer !== 'function') return Promise.resolve(peer)
  return new Promise((resolve) => known.set(port, resolve))
}

function acceptedBy(server: net.Server) {
  const known = waiting.get(server)
  if (known) return known
  const fresh = new Map<number, net.Socket | ((peer: net.Socket) => void)>()
  waiting.set(server, fresh)
  server.on('connection', (peer) => {
    peer.on('error', () => {})
    const port = peer.remotePort!
    const waiter = fresh.get(port)
    fresh.delete(port)
    if (typeof waiter === 'function') waiter(peer)
    else fresh.set(port, peer)
  })
  return fresh
}

export async function connectPair(options: { host?: string } = {}): Promise<Pair> {
  const [pair] = await connect(1, options)
  return pair!
}
