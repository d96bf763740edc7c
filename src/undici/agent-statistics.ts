import type net from 'node:net'
import type { buildConnector, Dispatcher } from 'undici'
import { AgentConnections } from '../http/agent-connections.js'
import type { Connection } from '../http/connection.js'
import { Attempt } from './attempt.js'
import { IdleConnections } from './idle-connections.js'

/** Counts the connections and requests of an agent of undici. */
export class AgentStatistics extends AgentConnections {
  readonly idle = new IdleConnections(this)
  readonly #socketPath: unknown

  /** @param socketPath the UNIX socket that the agent connects to for every origin, if there is one. */
  constructor(socketPath: unknown, learns: boolean) {
    super(learns)
    this.#socketPath = socketPath
  }

  opening(socket: net.Socket, { protocol, hostname, port }: buildConnector.Options): void {
    this.add(socket, this.#originOf(protocol, hostname, port))
  }

  override closed(connection: Connection): void {
    this.idle.delete(connection)
    super.closed(connection)
  }

  /** Called when a request starts. */
  begin(options: Dispatcher.DispatchOptions): Attempt {
    const origin = this.#originOfRequest(options)
    this.count(origin, 'requests')
    this.idle.closeOverdue(origin)
    return this.attempt(options)
  }

  /** Called when a request is sent, for the first time or again. */
  attempt(options: Dispatcher.DispatchOptions): Attempt {
    return new Attempt(this, this.idle, this.#originOfRequest(options), Boolean(options.reset))
  }

  /** undici refuses requests without a valid origin. They are counted under `invalid`. */
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
