import net from 'node:net'
import { listSockets } from '../../src/host/index.js'
import { inspect, type Profile } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { listen } from './connections.js'
import { borrowEnd } from './silent-server.js'
import { until } from './until.js'

/** Stands between a client and its server, so that each test has a port of its own whose end of a connection can go silent. */
export interface Relay {
  readonly port: number
  /** The client's ports, of all connections so far, in order. */
  readonly clients: readonly number[]
  /** How long the client's socket of the first connection lasted after the server went silent, in ms. Of `silentFirst` only. */
  readonly firstLasted: Promise<number>
  /** Makes the latest connection's end silent, once all is acknowledged. Returns when. */
  silence(): Promise<number>
  /** What the client's socket of this connection has. */
  profileOf(client: number): Promise<Profile>
  /**
   * Waits until the kernel no longer lists the client's socket of this connection. Returns when it was last seen, a few milliseconds before its
   * end. On a machine that is too busy to look, the end may be seen long after it.
   */
  lastSeen(client: number): Promise<number>
  stop(): void
}

interface RelayOptions {
  /** Whether the first connection is accepted and then silent. The next ones reach the server. */
  readonly silentFirst?: boolean
  /** Default: any that is free. */
  readonly port?: number
}

export async function startRelay(
  serverPort: number,
  { silentFirst = false, port: wanted = 0 }: RelayOptions = {},
): Promise<Relay> {
  const clients: number[] = []
  const sockets = new Set<net.Socket>()
  let firstSilent!: (client: number) => void
  const firstLasted = new Promise<number>((resolve, reject) => {
    firstSilent = (client) => {
      const since = performance.now()
      lastSeen(client).then((seen) => resolve(seen - since), reject)
    }
  })
  let latest: net.Socket
  let stopSending = () => {}

  const keep = (socket: net.Socket, other?: net.Socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => other?.destroy())
  }
  const server = net.createServer((client) => {
    clients.push(client.remotePort!)
    if (silentFirst && clients.length === 1) {
      blackHole(client)
      firstSilent(clients[0]!)
      keep(client)
      return
    }
    const upstream = net.connect(serverPort, '127.0.0.1')
    keep(client, upstream)
    keep(upstream, client)
    client.pipe(upstream).pipe(client)
    latest = client
    stopSending = () => upstream.unpipe(client)
  })
  const port = await listen(server, '127.0.0.1', wanted)

  async function lastSeen(client: number): Promise<number> {
    const filter = { localPort: client, remotePort: port }
    let seen = performance.now()
    await until(async () => {
      const looked = performance.now()
      const isOpen = [...(await listSockets(filter))].some(({ state }) => state === 'established')
      if (isOpen) seen = looked
      return !isOpen
    }, 30_000)
    return seen
  }

  return {
    port,
    clients,
    firstLasted,
    lastSeen,
    async profileOf(client) {
      return inspect(await borrowEnd(client, port)).profile
    },
    async silence() {
      // What the server has to say meanwhile would be a sign of life.
      stopSending()
      const filter = { localPort: latest.remotePort!, remotePort: port, info: true }
      const isQuiet = async () => {
        const [client] = [...(await listSockets(filter))]
        return [client?.info, inspect(latest).info].every(
          (info) => info?.unacked === 0 && info.notsentBytes === 0,
        )
      }
      await until(async () => {
        if (!(await isQuiet())) return false
        const hole = blackHole(latest)
        // Something may have been sent just before, and its acknowledgement have been lost.
        if (await isQuiet()) return true
        hole.restore()
        return false
      }, 30_000)
      return performance.now()
    },
    stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
