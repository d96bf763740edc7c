import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Loopback connections, as many as wanted at a time. `peers` are their far ends. */
export async function openConnections(count) {
  const accepted = []
  const server = net.createServer({ pauseOnConnect: true }, (peer) =>
    accepted.push(peer.on('error', () => {})),
  )
  server.listen({ port: 0, host: '127.0.0.1', backlog: 2000 })
  await once(server, 'listening')
  const { port } = server.address()
  const sockets = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = net.connect(port, '127.0.0.1').on('error', () => {})
      await once(socket, 'connect')
      return socket
    }),
  )
  while (accepted.length < count) await sleep(5)
  const byPort = new Map(accepted.map((peer) => [peer.remotePort, peer]))
  const pairs = sockets.map((socket) => ({ socket, peer: byPort.get(socket.localPort) }))
  return {
    pairs,
    close() {
      for (const { socket, peer } of pairs) {
        socket.destroy()
        peer.destroy()
      }
      server.close()
    },
  }
}

/** The numbers of all descriptors that this process has open, except the one that lists them. */
export function descriptors() {
  return readdirSync('/proc/self/fd').length
}

/** Waits until the condition holds, at most `patience` ms. Returns whether it does. */
export async function until(holds, patience = 3_000) {
  const end = performance.now() + patience
  while (!(await holds())) {
    if (performance.now() > end) return false
    await sleep(5)
  }
  return true
}
