import net from 'node:net'
import { listSockets } from '../../src/host.js'
import { inspect, type Profile } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { listen } from '../loopback/connections.js'
import { until } from '../loopback/until.js'
import { borrowEnd, silence } from './silence.js'

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
  /** When the client's socket of this connection had ended, as the kernel lists it. */
  endOf(client: number): Promise<number>
  stop(): void
}

interface RelayOptions {
  /** Whether the first connection is accepted and then silent. The next ones reach the server. */
  readonly silentFirst?: boolean
}

export async function startRelay(
  serverPort: number,
  { silentFirst = false }: RelayOptions = {},
): Promise<Relay> {
  const clients: number[] = []
  const sockets = new Set<net.Socket>()
  let firstSilent!: (client: number) => void
  const firstLasted = new Promise<number>((resolve, reject) => {
    firstSilent = (client) => {
      const since = performance.now()
      endOf(client).then((end) => resolve(end - since), reject)
    }
  })
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
    stopSending = () => upstream.unpipe(client)
  })
  const port = await listen(server)

  async function endOf(client: number): Promise<number> {
    const filter = { localPort: client, remotePort: port }
    await until(async () => ![...(await listSockets(filter))].some(({ state }) => state === 'established'))
    return performance.now()
  }

  return {
    port,
    clients,
    firstLasted,
    endOf,
    async profileOf(client) {
      return inspect(await borrowEnd(client, port)).profile
    },
    async silence() {
      // What the server has to say meanwhile would be a sign of life.
      stopSending()
      await silence(port, clients.at(-1)!)
      return performance.now()
    },
    stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
