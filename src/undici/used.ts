import type net from 'node:net'
import { closeSnapshotOf, requestCloseSnapshot } from '../connection/close-snapshot.js'
import { descriptorOf } from '../connection/target.js'
import { lookAtAll } from '../http/connection.js'
import { nativeCore } from '../kernel/binding.js'

/** What a connection of an agent of ours has been used for. */
interface Used {
  requests: number
}

const used = new WeakMap<net.Socket, Used>()

/** A request on one connection. */
export interface Use {
  readonly socket: net.Socket
  /** Whether the connection had another before. */
  readonly isReuse: boolean
  /** What the peer had acknowledged before. */
  readonly ackedBefore: number
}

export function noteOpened(socket: net.Socket): void {
  used.set(socket, { requests: 0 })
  const core = nativeCore()
  if (core) requestCloseSnapshot(core, socket)
}

/** Takes down that a request goes out; `undefined` where the connection is not ours. */
export function noteUse(socket: net.Socket): Use | undefined {
  const known = used.get(socket)
  if (!known) return undefined
  const isReuse = known.requests++ > 0
  return { socket, isReuse, ackedBefore: isReuse ? ackedNow(socket) : Number.NaN }
}

/** Whether the peer has acknowledged anything since; `undefined` where nobody knows. */
export function hasAcknowledged({ socket, ackedBefore }: Use): boolean | undefined {
  const now =
    descriptorOf(socket) >= 0 ? ackedNow(socket) : (closeSnapshotOf(socket)?.bytesAcked ?? Number.NaN)
  return Number.isNaN(now) || Number.isNaN(ackedBefore) ? undefined : now > ackedBefore
}

function ackedNow(socket: net.Socket): number {
  return lookAtAll([socket])?.[0]?.bytesAcked ?? Number.NaN
}
