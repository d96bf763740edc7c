import net from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { listSockets, type SocketRecord } from '../../src/host/index.js'
import { inspect, type Profile } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { listen } from './connections.js'
import { borrowEnd } from './silent-server.js'
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

/** Connections whose server has gone silent. */
export interface Silent {
  /** Their clients' ends: `'40000 5432'`, the local and the remote port. */
  readonly ends: readonly string[]
  /** Since when, by performance.now(). */
  readonly since: number
}

interface RelayOptions {
  /**
   * `'held'`: the first connection is accepted and not forwarded, so that its client cannot log in. `'silent'`: it is also
   * silenced at once. Default: it is forwarded like the others.
   */
  readonly first?: 'held' | 'silent'
  /** Default: any that is free. */
  readonly port?: number
}

/** A port in front of a real server. Its ends of the clients' connections can go silent, as if the server were gone. */
export class Relay {
  /** The clients' ports, of all connections so far, in order. */
  readonly clients: number[] = []
  /** How many bytes came from clients. */
  received = 0
  /** How long the client's socket of the first connection lasted after the server went silent, in ms. Of `first: 'silent'` only. */
  readonly firstLasted: Promise<number>
  /** The clients' connections that are forwarded, each with its connection to the server. */
  readonly #open = new Map<net.Socket, net.Socket>()
  readonly #silent = new WeakSet<net.Socket>()
  readonly #server: net.Server
  /** The first connection, if it is not forwarded. */
  #held: net.Socket | undefined
  #port = 0

  static async start(serverPort: number, options: RelayOptions = {}): Promise<Relay> {
    const relay = new Relay(serverPort, options)
    relay.#port = await listen(relay.#server, '127.0.0.1', options.port)
    return relay
  }

  private constructor(serverPort: number, { first }: RelayOptions) {
    let resolve!: (lasted: Promise<number>) => void
    this.firstLasted = new Promise((settle) => {
      resolve = settle
    })
    this.#server = net.createServer((client) => {
      this.clients.push(client.remotePort!)
      client.on('error', () => {})
      client.on('data', ({ length }) => {
        this.received += length
      })
      if (first === undefined || this.clients.length > 1) return this.#forward(client, serverPort)
      this.#held = client
      if (first === 'held') return
      blackHole(client)
      const since = performance.now()
      resolve(this.lastSeen(client.remotePort!).then((seen) => seen - since))
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
    return this.#port
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

  /** Makes the connections of these clients silent, or every open one. New connections are forwarded. */
  async silence(clients: readonly number[] = this.clients): Promise<Silent> {
    const open = [...this.#open].filter(([client]) => clients.includes(client.remotePort!))
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
    }, 30_000)
    return since
  }

  /** The options of the client's socket of this connection. */
  async profileOf(client: number): Promise<Profile> {
    return inspect(await borrowEnd(client, this.port)).profile
  }

  /**
   * Waits until the kernel no longer lists the client's socket of this connection. Returns when it was last seen, a few milliseconds before its
   * end. On a machine that is too busy to look, the end may be seen long after it.
   */
  async lastSeen(client: number): Promise<number> {
    let seen = performance.now()
    await until(async () => {
      const sampled = performance.now()
      const isOpen = (await listConnections()).has(`${client} ${this.port}`)
      if (isOpen) seen = sampled
      return !isOpen
    }, 30_000)
    return seen
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
