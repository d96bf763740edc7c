import { EventEmitter } from 'node:events'
import type net from 'node:net'
import { inspect } from 'node:util'
import type { PathState } from '../connection/destinations.js'
import type { Endpoint } from '../connection/endpoints.js'
import type { DeathReason, PeerDeathError } from '../errors.js'
import type { TcpInfo } from '../kernel/tcp-info.js'

/** The connection of a watcher's event. */
export interface WatchedConnection {
  /** The `net.Socket` or `tls.TLSSocket`, even if a request or session was added. */
  readonly socket: net.Socket
  /** The peer's address. `socket.remoteAddress` is `undefined` once the connection has ended. */
  readonly remote: Endpoint
  /** The address of this side. */
  readonly local: Endpoint
}

/** A connection whose peer is gone. `console.log` shows it without the socket's own fields. */
export interface Death extends WatchedConnection {
  /** The cause. */
  readonly reason: DeathReason
  /** The evidence for it, in words. */
  readonly evidence: string
  /** What found the death first. `node`: Node was reading or writing the socket, so it got the error at once. */
  readonly detectedBy: 'kernel' | 'heartbeat' | 'node'
  /**
   * Always a {@link PeerDeathError}. The socket is destroyed with it. If Node found the death first (`detectedBy` is `node`), the
   * socket emits Node's own error instead, which is the `cause` of this one.
   */
  readonly error: PeerDeathError<TcpInfo>
  /** The kernel's last counters. Absent without the native core. */
  readonly info?: TcpInfo
  /** Time since the peer was last heard, in ms. Absent if `info` is. */
  readonly silentFor?: number
  /** Whether the path has answered probes, as in {@link ProbeResult}. Absent for connections that were never probed. */
  readonly path?: PathState
}

/** A connection whose peer has closed its side (FIN). The data that it sent before can still be read. */
export interface Closing extends WatchedConnection {
  /** The kernel's counters at that time. Absent if Node saw the FIN first. */
  readonly info?: TcpInfo
}

/**
 * A probe is unanswered, or data has been retransmitted, for at least 250 ms; for longer if the path is slower (`tcpi_rto`).
 */
export interface Suspicion extends WatchedConnection {
  /** The evidence, in words. */
  readonly evidence: string
  /** Time since the peer was last heard, in ms. */
  readonly silentFor: number
  /** Whether the path has answered probes, as in {@link ProbeResult}. Unless it is `answers`, unanswered probes do not make a death. */
  readonly path: PathState
}

/** A peer that was suspect has been heard. */
export interface Recovery extends WatchedConnection {}

/** What a {@link Watcher} emits. */
export interface WatcherEvents {
  /** A peer is gone. Emitted once for each connection. */
  dead: [death: Death]
  /** A peer may be gone. */
  suspect: [suspicion: Suspicion]
  /** A peer that was suspect has been heard. */
  recover: [recovery: Recovery]
  /** A peer has closed its side. */
  closing: [closing: Closing]
  /** A connection that a server accepted, or that was connecting when it was added, could not be watched. */
  error: [error: Error]
  /** The watcher was closed. */
  close: []
}

/** The prototype of the event objects. Without it `console.log` would print the whole socket, a hundred lines. */
const prototype = Object.freeze({
  [inspect.custom](this: object) {
    return Object.fromEntries(Object.entries(this).map(([name, value]) => [name, shorten(value)]))
  },
})

/** Makes a frozen event object. */
export function createEvent<Fields extends object>(fields: Fields): Readonly<Fields> {
  return Object.freeze({ __proto__: prototype, ...fields })
}

function shorten(value: unknown): unknown {
  if (value instanceof Error) return { [inspect.custom]: () => `[${value.name}: ${value.message}]` }
  if (value instanceof EventEmitter) return { [inspect.custom]: () => `[${value.constructor.name}]` }
  return value
}
