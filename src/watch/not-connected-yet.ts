import type net from 'node:net'
import { follow } from '../connection/holder.js'
import { noSocket, socketNow, unwrap } from '../connection/target.js'
import { noteSession } from '../probe/confirm.js'
import type { HeartbeatChoice } from './watch-options.js'
import { requireStanding, type WatchTarget } from './watch-target.js'

interface Pending {
  heartbeat: HeartbeatChoice
  stopFollowing(): void
}

/** How a watcher starts to watch a connection. */
export interface Intake {
  /** @throws if it cannot be watched. */
  now(socket: net.Socket, heartbeat: HeartbeatChoice): void
  /** For connections that arrive after `add`: emits an error instead of throwing it. */
  later(socket: net.Socket, heartbeat: HeartbeatChoice): void
}

/** The targets of one watcher that are not connected yet or may get another connection: requests, WebSockets, socket.io Sockets. */
export class TargetsNotConnectedYet {
  readonly #intake: Intake
  readonly #pending = new Map<object, Pending>()

  constructor(intake: Intake) {
    this.#intake = intake
  }

  /** Watches the connection that the target has now, if any, and each one that it gets later. */
  add(target: Exclude<WatchTarget, net.Socket>, heartbeat: HeartbeatChoice): void {
    const { isClosed } = requireStanding(target)
    const known = this.#pending.get(target)
    if (known) {
      if (heartbeat !== undefined) known.heartbeat = heartbeat
      const socket = socketNow(target)
      if (socket) this.#intake.now(unwrap(socket), heartbeat)
      return
    }
    if (isClosed) throw noSocket(target)
    const pending: Pending = { heartbeat, stopFollowing: () => {} }
    let take = this.#intake.now
    const stop = follow(target, {
      connection: (socket) => {
        noteSession(unwrap(socket), target)
        take(unwrap(socket), pending.heartbeat)
      },
      ended: () => this.#pending.delete(target),
    })
    take = this.#intake.later
    if (!stop) return
    pending.stopFollowing = stop
    this.#pending.set(target, pending)
  }

  delete(target: object): boolean {
    this.#pending.get(target)?.stopFollowing()
    return this.#pending.delete(target)
  }

  has(target: object): boolean {
    return this.#pending.has(target)
  }

  /** The targets at this moment. */
  list(): ReadonlySet<object> {
    return new Set(this.#pending.keys())
  }

  clear(): void {
    for (const target of this.#pending.keys()) this.delete(target)
  }
}
