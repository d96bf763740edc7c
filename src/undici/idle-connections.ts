import type { AgentConnections } from '../http/agent-connections.js'
import { type Connection, sampleAll } from '../http/connection.js'

/** The idle connections of an agent of undici, by origin. Closes those that are past the learned idle limit: undici would reuse them. */
export class IdleConnections {
  readonly #connections: AgentConnections
  readonly #idle = new Map<string, Set<Connection>>()

  constructor(connections: AgentConnections) {
    this.#connections = connections
  }

  add(connection: Connection): void {
    connection.freeAt = performance.now()
    connection.isFree = true
    const { origin } = connection
    const idle = this.#idle.get(origin)
    if (idle) idle.add(connection)
    else this.#idle.set(origin, new Set([connection]))
  }

  delete(connection: Connection): void {
    const { origin } = connection
    const idle = this.#idle.get(origin)
    if (idle?.delete(connection) && idle.size === 0) this.#idle.delete(origin)
  }

  /** Called before undici chooses the connection of a request. */
  closeOverdue(origin: string): void {
    const idle = this.#idle.get(origin)
    const now = performance.now()
    if (!idle || this.#connections.idleLimit(origin)?.limit(now) === undefined) return
    const connections = [...idle].filter(({ socket }) => !socket.destroyed)
    const samples = sampleAll(connections.map(({ socket }) => socket))
    connections.forEach((connection, i) => {
      if (this.#connections.isPastLimit(connection, samples?.[i]?.minRtt ?? 0, now))
        connection.socket.destroy()
    })
  }
}
