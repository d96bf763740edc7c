import { once } from 'node:events'
import net from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { listSockets, type SocketRecord } from '../../src/host/index.js'
import { blackHole } from '../../src/testing/index.js'
import { until } from './until.js'

let next: Promise<Map<string, SocketRecord>> | undefined

/**
 * All established connections, by local and remote port: `'40000 5432'`. One list serves all who ask in the same turn of the event
 * loop, and shows what they did before.
 */
export function listConnections(): Promise<Map<string, SocketRecord>> {
  next ??= nextTurn().then(async () => {
    next = undefined
    const list = await listSockets({ states: ['established'] })
    return new Map([...list].map((record) => [`${record.local.port} ${record.remote.port}`, record]))
  })
  return next
}

/** Connections that are silent. */
export interface Silent {
  /** Their clients' ends: `'40000 5432'`, the local and the remote port. */
  readonly ends: readonly string[]
  /** Since when, by performance.now(). */
  readonly since: number
}

/** A port in front of a real server. Its ends of the clients' connections can go silent, as if the server were gone. */
export class Forwarder {
  /** How many connections were accepted. */
  accepted = 0
  /** How many bytes came from clients. */
  received = 0
  /** The clients' connections, each with its connection to the server. */
  readonly #open = new Map<net.Socket, net.Socket>()
  readonly #silent = new WeakSet<net.Socket>()
  readonly #server: net.Server
  /** The first connection, if it is not forwarded. */
  #held: net.Socket | undefined

  /** @param options `holdFirst`: do not forward the first connection, so that its client cannot log in. */
  static async start(serverPort: number, options: { holdFirst?: boolean } = {}): Promise<Forwarder> {
    const forwarder = new Forwarder(serverPort, options.holdFirst ?? false)
    await once(forwarder.#server.listen(0, '127.0.0.1'), 'listening')
    return forwarder
  }

  private constructor(serverPort: number, holdFirst: boolean) {
    this.#server = net.createServer((client) => {
      this.accepted++
      client.on('error', () => {})
      client.on('data', ({ length }) => {
        this.received += length
      })
      if (holdFirst && this.accepted === 1) this.#held = client
      else this.#forward(client, serverPort)
    })
  }

  #forward(client: net.Socket, serverPort: number): void {
    const server = net.connect(serverPort, '127.0.0.1')
    this.#open.set(client, server)
    client.on('close', () => {
      this.#open.delete(client)
      server.destroy()
    })
    server.on('error', () => {})
    server.on('close', () => {
      if (!this.#silent.has(client)) client.end()
    })
    client.pipe(server).pipe(client)
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port
  }

  /** Resolves when the connection is open that is not forwarded, and the client has sent its first message if it speaks first. */
  async untilHeld(speaksFirst: 'client' | 'server'): Promise<void> {
    await until(
      () => this.#held !== undefined && (speaksFirst === 'server' || this.#held.bytesRead > 0),
      30_000,
    )
  }

  /** Makes the connection silent that is not forwarded. */
  async silenceHeld(): Promise<Silent> {
    const since = await this.#deafen(this.#held!)
    return { ends: [`${this.#held!.remotePort} ${this.port}`], since }
  }

  /** Makes every open connection silent. New connections are forwarded. */
  async silence(): Promise<Silent> {
    const open = [...this.#open]
    const since = open.map(async ([client, server]) => {
      // A server that is gone sends nothing, and does not go on with what the client asked for.
      this.#silent.add(client)
      server.destroy()
      return this.#deafen(client)
    })
    const ends = open.map(([client]) => `${client.remotePort} ${this.port}`)
    return { ends, since: Math.max(...(await Promise.all(since))) }
  }

  /**
   * Nothing may be unacknowledged then. A deaf end sends a segment again whose acknowledgement it has not heard, and the client takes
   * that for a sign of life. Returns since when the end is deaf.
   */
  async #deafen(client: net.Socket): Promise<number> {
    const port = client.remotePort!
    const ends = [`${port} ${this.port}`, `${this.port} ${port}`]
    let since = 0
    await until(async () => {
      since = performance.now()
      const hole = blackHole(client)
      const connections = await listConnections()
      if (ends.every((end) => (connections.get(end)?.sendQueue ?? 0) === 0)) return true
      hole.restore()
      return false
    })
    return since
  }

  stop(): void {
    this.#server.close()
    this.#held?.destroy()
    for (const [client, server] of this.#open) {
      client.destroy()
      server.destroy()
    }
  }
}
