import { once } from 'node:events'
import net from 'node:net'
import { blackHole } from '../../src/testing/index.js'
import { silence } from './silence.js'

/**
 * A port in front of a real server. Clients connect to it, and its ends of their connections can go silent, also before the
 * server has sent its first byte.
 */
export class Forwarder {
  /** The client's port of each connection, in the order in which they were accepted. */
  readonly accepted: number[] = []
  /** How many bytes came from clients. */
  received = 0
  readonly #open = new Map<net.Socket, net.Socket | undefined>()
  readonly #silent = new WeakSet<net.Socket>()
  readonly #server: net.Server

  /** @param silentFirst whether the first connection gets no answer at all. */
  static async start(serverPort: number, silentFirst = false): Promise<Forwarder> {
    const forwarder = new Forwarder(serverPort, silentFirst)
    await once(forwarder.#server.listen(0, '127.0.0.1'), 'listening')
    return forwarder
  }

  private constructor(serverPort: number, silentFirst: boolean) {
    this.#server = net.createServer((client) => {
      const isFirst = this.accepted.push(client.remotePort!) === 1
      client.on('data', ({ length }) => {
        this.received += length
      })
      client.on('error', () => {})
      if (silentFirst && isFirst) {
        this.#open.set(client, undefined)
        blackHole(client)
        return
      }
      const upstream = net.connect(serverPort, '127.0.0.1')
      this.#open.set(client, upstream)
      client.on('close', () => {
        this.#open.delete(client)
        upstream.destroy()
      })
      upstream.on('error', () => {})
      upstream.on('close', () => {
        if (!this.#silent.has(client)) client.end()
      })
      client.pipe(upstream).pipe(client)
    })
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port
  }

  /** Makes every open connection silent. New connections are forwarded. Returns the client's ports. */
  async silence(): Promise<number[]> {
    const open = [...this.#open]
    return Promise.all(
      open.map(async ([client, upstream]) => {
        const port = client.remotePort!
        await silence(this.port, port)
        // A server that is gone sends nothing, and does not go on with what the client asked for.
        this.#silent.add(client)
        upstream?.destroy()
        return port
      }),
    )
  }

  stop(): void {
    this.#server.close()
    for (const [client, upstream] of this.#open) {
      client.destroy()
      upstream?.destroy()
    }
  }
}
