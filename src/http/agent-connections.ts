import diagnostics from 'node:diagnostics_channel'
import type net from 'node:net'
import { findRecord, recordOf } from '../connection/record.js'
import { Connection, type ConnectionOwner } from './connection.js'
import { Statistics } from './statistics.js'

/** docs/guide.md lists the messages. */
const channels = {
  opened: diagnostics.channel('deadpeer:http:opened'),
  closed: diagnostics.channel('deadpeer:http:closed'),
  staleReuse: diagnostics.channel('deadpeer:http:stale-reuse'),
  retried: diagnostics.channel('deadpeer:http:retried'),
}

/** Publishes a message. Creates it only if there is a subscriber. */
function publish(name: keyof typeof channels, message: () => object): void {
  if (channels[name].hasSubscribers) channels[name].publish(message())
}

/** The connections of one agent. Finds them by their sockets, counts them, and publishes what happens on the channels of `deadpeer:http`. */
export class AgentConnections extends Statistics implements ConnectionOwner {
  /** `agent` of the published messages. */
  agent: object | undefined
  readonly #learns: boolean

  /** @param learns whether it learns how long servers keep idle connections: {@link IdleLimit}. */
  constructor(learns: boolean) {
    super()
    this.#learns = learns
  }

  /**
   * @param limit the number of requests that the connection may have.
   * @returns `undefined` if the socket was added before.
   */
  add(socket: net.Socket, origin: string, limit?: number, mayBeTunnel?: boolean): Connection | undefined {
    const record = recordOf(socket)
    const known = this.find(socket)
    if (known?.socket === socket) return undefined
    known?.replace()
    const connection = new Connection(socket, origin, this, limit, mayBeTunnel)
    record.agentConnections = [...record.agentConnections.filter((each) => each !== known), connection]
    return connection
  }

  /** `undefined` if this agent did not open the socket. */
  find(socket: net.Socket): Connection | undefined {
    const found = findRecord(socket)?.agentConnections.find(({ owner }) => owner === this)
    return found as Connection | undefined
  }

  opened(connection: Connection): void {
    this.count(connection.origin, 'opened')
    publish('opened', () => this.message(connection))
  }

  closed(connection: Connection): void {
    const { origin, isOpen, ending } = connection
    const how = isOpen ? ending : 'failedToOpen'
    this.count(origin, how)
    if (connection.isFree && (how === 'closedByPeer' || how === 'reset')) this.#learnFrom(connection)
    publish('closed', () => ({ ...this.message(connection), how }))
  }

  #learnFrom({ origin, freeAt, isCloseAnnounced }: Connection): void {
    if (!this.#learns || isCloseAnnounced) return
    const now = performance.now()
    this.idleLimit(origin)?.closed(now - freeAt, now)
  }

  /** Whether a free connection has been idle for so long that the server may close it before a request arrives. `minRtt` in ms, NaN if not known. */
  isPastLimit({ origin, freeAt }: Connection, minRtt: number, now: number): boolean {
    const limit = this.idleLimit(origin)
    return limit !== undefined && now - freeAt >= limit.reusableUntil(minRtt || 0, now)
  }

  /** @param origin the origin of the request. */
  retried(connection: Connection, origin: string, request?: object): void {
    this.count(origin, 'retried')
    publish('retried', () => this.message(connection, request))
  }

  /** A reused connection was gone. `avoided`: the agent noticed it before it sent a request; otherwise `request` has failed because of it. */
  staleReuse(connection: Connection, avoided: boolean, request?: object): void {
    if (avoided) this.count(connection.origin, 'staleReusesAvoided')
    publish('staleReuse', () => ({ ...this.message(connection, request), avoided }))
  }

  message({ socket, origin }: Connection, request?: object): object {
    return { agent: this.agent, origin, socket, ...(request && { request }) }
  }
}
