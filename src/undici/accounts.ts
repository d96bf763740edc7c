import type net from 'node:net'
import type { buildConnector, Dispatcher } from 'undici'
import { AgentConnections } from '../http/agent-connections.js'
import type { Snapshot } from '../http/statistics.js'
import type { RequestListener } from './attending.js'

/** Counts the connections and requests of an agent of undici. */
export class Accounts {
  readonly #connections = new AgentConnections()
  readonly #socketPath: unknown

  /** @param socketPath where the agent connects to, whatever the origin. */
  constructor(socketPath: unknown) {
    this.#socketPath = socketPath
  }

  /** The agent as messages name it. */
  set agent(agent: object) {
    this.#connections.agent = agent
  }

  snapshot(): Snapshot {
    return this.#connections.statistics.snapshot()
  }

  open(socket: net.Socket, { protocol, hostname, port }: buildConnector.Options): void {
    this.#connections.open(socket, this.#originOf(protocol, hostname, port))
  }

  /** A request is made. */
  begin(options: Dispatcher.DispatchOptions): RequestListener {
    this.#connections.statistics.count(this.#originOfRequest(options), 'requests')
    return this.listen(options)
  }

  /** The same request, made again. */
  listen(options: Dispatcher.DispatchOptions): RequestListener {
    const connections = this.#connections
    const { statistics } = connections
    const origin = this.#originOfRequest(options)
    return {
      sent(socket) {
        const connection = connections.find(socket)
        if (!connection) return undefined
        const isReuse = connection.requests++ > 0
        if (isReuse) statistics.count(origin, 'reusedRequests')
        return { connection, isReuse, ackedBefore: isReuse ? connection.bytesAcked() : Number.NaN }
      },
      closeAnnounced({ connection }) {
        // A request may ask for it.
        if (!options.reset) connection.isCloseAnnounced = true
      },
      metStale: ({ connection }) => connections.staleReuse(connection, false),
      repeated: ({ connection }) => connections.retried(connection, origin),
      failed: (isStale) => statistics.count(origin, isStale ? 'staleReuses' : 'failedRequests'),
    }
  }

  /** undici refuses what is not an origin: those requests are counted together. */
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
