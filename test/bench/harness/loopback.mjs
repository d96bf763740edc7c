import { once } from 'node:events'
import net from 'node:net'

/** More at once would overflow the queue of connections that wait to be accepted. */
const AT_ONCE = 200

const sockets = []
/** The other ends, by the port that they see. */
const peers = new Map()
let server
let heardBytes = 0

/** `count` established connections with both ends in this process; the same ones at every call. */
export async function connections(count) {
  server ??= await listen()
  while (sockets.length < count) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, connect)
    await Promise.all(some.map((socket) => once(socket, 'connect')))
    sockets.push(...some)
    while (peers.size < sockets.length) await once(server, 'connection')
  }
  return sockets.slice(0, count)
}

async function listen() {
  const listening = net.createServer((peer) => peers.set(peer.remotePort, peer.resume()))
  listening.listen({ host: '127.0.0.1', port: 0, backlog: 2 * AT_ONCE })
  await once(listening, 'listening')
  return listening
}

/** One buffer for all: what arrives is counted, and leaves no garbage behind. */
const buffer = Buffer.alloc(64)

function connect() {
  return net.connect({
    host: '127.0.0.1',
    port: server.address().port,
    onread: {
      buffer,
      callback(bytes) {
        heardBytes += bytes
        return true
      },
    },
  })
}

/** The other end of each. */
export function peersOf(sockets) {
  return sockets.map((socket) => peers.get(socket.localPort))
}

/** The peer of each writes a byte, and all have arrived. */
export async function hearPeers(sockets) {
  const wanted = heardBytes + sockets.length
  for (const peer of peersOf(sockets)) peer.write('.')
  while (heardBytes < wanted) await new Promise(setImmediate)
}

/** What the reference takes. */
export function descriptors(sockets) {
  return Int32Array.from(sockets, (socket) => socket._handle.fd)
}

/** They are opened anew when they are needed again. */
export async function closeConnections() {
  if (!server) return
  for (const socket of [...sockets, ...peers.values()]) socket.destroy()
  sockets.length = 0
  peers.clear()
  const closed = once(server, 'close')
  server.close()
  server = undefined
  await closed
}
