import net from 'node:net'
import { type AcceptingServer, acceptedEvent } from '../connection/accepting-server.js'
import { onFurtherServer } from '../connection/further-servers.js'
import { isWithoutServer, type ServerTarget, serversOf } from '../connection/listening.js'
import { socketNow, unwrap } from '../connection/target.js'
import type { Intake } from './not-connected-yet.js'
import type { HeartbeatChoice } from './watch-options.js'
import type { WatchTarget } from './watch-target.js'

/** The servers whose accepted connections one watcher watches. */
export class AcceptedConnections {
  readonly #intake: Intake
  readonly #listeners = new Map<AcceptingServer, (accepted: WatchTarget) => void>()
  /** For each target, a function that stops following the servers that it gets later. */
  readonly #stopFollowing = new Map<object, () => void>()

  constructor(intake: Intake) {
    this.#intake = intake
  }

  add(target: ServerTarget, heartbeat: HeartbeatChoice): void {
    for (const server of acceptorsOf(target)) this.#addServer(server, heartbeat)
    if (target instanceof net.Server) return
    this.#stopFollowing.get(target)?.()
    this.#stopFollowing.set(
      target,
      onFurtherServer(target, (server) => this.#addServer(server, heartbeat)),
    )
  }

  delete(target: ServerTarget): boolean {
    this.#stopFollowing.get(target)?.()
    this.#stopFollowing.delete(target)
    return acceptorsNow(target)
      .map((server) => this.#deleteServer(server))
      .includes(true)
  }

  has(target: ServerTarget): boolean {
    return acceptorsNow(target).some((server) => this.#listeners.has(server))
  }

  clear(): void {
    for (const stop of this.#stopFollowing.values()) stop()
    for (const server of this.#listeners.keys()) this.#deleteServer(server)
  }

  #addServer(server: AcceptingServer, heartbeat: HeartbeatChoice): void {
    if (this.#listeners.has(server)) {
      if (heartbeat === undefined) return
      this.#deleteServer(server)
    }
    const onAccepted = (accepted: WatchTarget) => {
      const socket = socketNow(accepted)
      if (socket) this.#intake.later(unwrap(socket), heartbeat)
    }
    this.#listeners.set(server, onAccepted)
    // Run before the program's own listeners, which may destroy the socket or add it themselves.
    server.prependListener(acceptedEvent(server), onAccepted)
  }

  #deleteServer(server: AcceptingServer): boolean {
    const onAccepted = this.#listeners.get(server)
    if (!onAccepted) return false
    server.off(acceptedEvent(server), onAccepted)
    return this.#listeners.delete(server)
  }
}

/** The servers that emit a target's accepted connections. */
function acceptorsOf(target: ServerTarget): readonly AcceptingServer[] {
  return isWithoutServer(target) ? [target] : serversOf(target)!
}

/** Like {@link acceptorsOf}, but empty instead of an error if the target no longer has a server. */
function acceptorsNow(target: ServerTarget): readonly AcceptingServer[] {
  try {
    return acceptorsOf(target)
  } catch {
    return []
  }
}
