import type net from 'node:net'
import type { buildConnector, Dispatcher } from 'undici'
import { tell } from '../http/channels.js'
import { Connection } from '../http/connection.js'
import { type Snapshot, Statistics } from '../http/statistics.js'
import type { Attendant } from './attending.js'

/** What becomes of the connections and requests of an agent of undici. */
export class Accounts {
  readonly #statistics = new Statistics()
  readonly #connections = new WeakMap<net.Socket, Connection>()
  readonly #socketPath: unknown
  /** Whose they are, for messages. */
  agent: object | undefined

  /** @param socketPath of an agent that knows one end only, whatever the origin. */
  constructor(socketPath: unknown) {
    this.#socketPath = socketPath
  }

  snapshot(): Snapshot {
    return this.#statistics.snapshot()
  }

  open(socket: net.Socket, { protocol, hostname, port }: buildConnector.Options): void {
    const origin = this.#originOf(protocol, hostname, port)
    const message = { agent: this.agent, origin, socket }
    const owner = {
      opened: () => {
        this.#statistics.count(origin, 'opened')
        tell('opened', () => message)
      },
      closed: ({ isOpen, ending }: Connection) => {
        const how = isOpen ? ending : 'failedToOpen'
        this.#statistics.count(origin, how)
        tell('closed', () => ({ ...message, how }))
      },
    }
    const connection = new Connection(socket, origin, Number.POSITIVE_INFINITY, owner, false)
    this.#connections.set(socket, connection)
  }

  /** A request is made. */
  begin(options: Dispatcher.DispatchOptions): Attendant {
    this.#statistics.count(this.#originOfRequest(options), 'requests')
    return this.attend(options)
  }

  /** The same request, made again. */
  attend(options: Dispatcher.DispatchOptions): Attendant {
    const origin = this.#originOfRequest(options)
    return {
      sent: ({ isReuse }) => {
        if (isReuse) this.#statistics.count(origin, 'reusedRequests')
      },
      calledLast: ({ socket }) => {
        const connection = this.#connections.get(socket)
        // To a request that asks for it, it is the answer.
        if (connection && !options.reset) connection.isCalledLast = true
      },
      metStale: ({ socket }) =>
        tell('staleReuse', () => ({ agent: this.agent, origin, socket, avoided: false })),
      repeated: ({ socket }) => {
        this.#statistics.count(origin, 'retried')
        tell('retried', () => ({ agent: this.agent, origin, socket }))
      },
      failed: (isStale) => this.#statistics.count(origin, isStale ? 'staleReuses' : 'failedRequests'),
    }
  }

  /** What is no origin undici refuses: all of these in one. */
  #originOfRequest({ origin }: Dispatcher.DispatchOptions): string {
    const text = String(origin)
    if (!URL.canParse(text)) return 'invalid'
    const { protocol, hostname, port } = new URL(text)
    return this.#originOf(protocol, hostname, port)
  }

  #originOf(protocol: string, hostname: string, port: string): string {
    if (typeof this.#socketPath === 'string') return `unix:${this.#socketPath}`
    const host = hostname.includes(':') && !hostname.startsWith('[') ? `[${hostname}]` : hostname
    return `${protocol}//${host}:${port || (protocol === 'https:' ? 443 : 80)}`
  }
}
