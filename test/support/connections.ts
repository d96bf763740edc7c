import { once } from 'node:events'
import net from 'node:net'
import { afterAll } from 'vitest'

export interface Pair {
  /** The side that dialled, and that is watched. */
  readonly socket: net.Socket
  /** The side that was accepted: the peer. */
  readonly peer: net.Socket
}

export interface ConnectOptions {
  readonly host?: string
  /** The dialling side stays open when the peer has closed its own. */
  readonly allowHalfOpen?: boolean
}

export async function listen(server: net.Server, host = '127.0.0.1', port = 0): Promise<number> {
  server.listen(port, host)
  await once(server, 'listening')
  return (server.address() as net.AddressInfo).port
}

/** Closed when the file is done: the tests of one file may run together. */
const closing: (net.Server | net.Socket)[] = []
afterAll(() => {
  for (const each of closing) each instanceof net.Server ? each.close() : each.destroy()
})

/** Connections on loopback. Errors are what these tests are about, so they do not crash. */
export async function connect(count: number, options: ConnectOptions = {}): Promise<Pair[]> {
  const { host = '127.0.0.1' } = options
  const server = net.createServer({ pauseOnConnect: true })
  acceptedBy(server)
  const port = await listen(server, host)
  const pairs: Pair[] = []
  // Not more at a time than the queue of connections to be accepted holds.
  for (let left = count; left > 0; left -= 200) {
    const part = Array.from({ length: Math.min(200, left) }, () =>
      connectOne(server, { ...options, host, port }),
    )
    pairs.push(...(await Promise.all(part)))
  }
  closing.push(server, ...pairs.flatMap(({ socket, peer }) => [socket, peer]))
  return pairs
}

async function connectOne(server: net.Server, options: net.TcpNetConnectOpts): Promise<Pair> {
  const socket = net.connect(options)
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

export async function connectPair(options: ConnectOptions = {}): Promise<Pair> {
  const [pair] = await connect(1, options)
  return pair!
}
