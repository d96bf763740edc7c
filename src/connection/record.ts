import net from 'node:net'
import type { Profile } from '../profile/profile.js'
import type { CloseSnapshot } from './close-snapshot.js'
import type { Endpoints } from './endpoints.js'
import { type Handle, handleOf } from './target.js'

/** Where a connection goes. For an accepted one: the address of the peer and the local port. */
export interface Destination {
  /** The name that the program connects to, if it gave a name. */
  host?: string | undefined
  address?: string | undefined
  port?: number | undefined
}

/** The method as it was before, and what is called after it. */
export interface SetKeepAliveHook {
  readonly setKeepAlive: net.Socket['setKeepAlive']
  readonly hear: (socket: net.Socket) => void
  isCalling: boolean
}

/** A connection in the statistics of the agent that opened it. */
export interface AgentConnection {
  /** The statistics of that agent. */
  readonly owner: object
  readonly socket: net.Socket
}

/**
 * What this process knows of one connection. {@link recordOf} finds it. Each field belongs to one subject.
 *
 * All fields are set here, so that V8 gives every record the same shape.
 */
export class ConnectionRecord {
  /** `SO_COOKIE`, socket(7). It never changes. `undefined` until it is read. */
  cookie: bigint | undefined = undefined
  /**
   * When the peer was last heard, as far as this process has asked the kernel; in ms of the native core's clock. -Infinity: not known. In a
   * time namespace it can be below 0: the clock may have begun after the peer was heard.
   */
  heardAt = Number.NEGATIVE_INFINITY
  /**
   * Whether the keepalive timer is known to stand at `initialDelay`, as it does from when that was last written. Keepalive that is switched on
   * anew moves it, and an interval that is longer.
   */
  isTimerKnown = false

  /** Both addresses. They are kept since they cannot be read after the close. */
  endpoints: Endpoints | undefined = undefined
  /** What the kernel knew of the connection right before Node closed it. */
  closeSnapshot: CloseSnapshot | undefined = undefined

  /** Whether its death was published on `deadpeer:death`. */
  isDeathPublished = false

  /** The profile that the program has set by its own calls. */
  explicitProfile: Profile | undefined = undefined
  /** What `deadpeer/register` applies. */
  registerProfile: Profile | undefined = undefined
  /** Where the socket is connecting to. Only `deadpeer/register` with rules asks for it. */
  destination: Destination | undefined = undefined
  /** Called with the descriptor of each connection attempt. `undefined` when the socket is not connecting. */
  onDescriptor: ((fd: number) => void)[] | undefined = undefined

  /** What an agent that was tuned has put in the place of `setKeepAlive`. */
  setKeepAliveHook: SetKeepAliveHook | undefined = undefined
  /** An entry for each agent of this package that opened it: one, unless agents are nested. */
  agentConnections: readonly AgentConnection[] = none

  /** Whether the socket is not connected yet, so that there is no handle to keep the record on. */
  isPending = true
}

const none: readonly AgentConnection[] = Object.freeze([])

/**
 * Kept as a property of the handle, since a handle stands for one connection and its descriptor's number does not. A lookup in a WeakMap
 * costs as much as half a system call where there are thousands. It is kept on the socket as well where it must be found before there is a
 * handle, or after Node has closed it: see {@link linkRecord}.
 */
const record = Symbol('deadpeer.connection')

type WithRecord<Owner> = Owner & { [record]?: ConnectionRecord }
type InnerHandle = WithRecord<Handle> & { readonly _parent?: InnerHandle | null; readonly owner?: unknown }

/**
 * Finds the record of the connection that a socket has now, or makes it. A TLSSocket over another socket is the same connection. A socket
 * that connects again is another connection and gets another record.
 */
export function recordOf(socket: net.Socket): ConnectionRecord {
  const inner: WithRecord<net.Socket> = innermostSocket(socket)
  const handle = connectedHandle(inner, socket)
  if (handle) return handle[record] ?? bind(handle, inner)
  const known = inner[record]
  if (known?.isPending) return known
  inner[record] = new ConnectionRecord()
  return inner[record]
}

/** The record of the connection that a socket has, or had last, if there is one. */
export function findRecord(socket: net.Socket): ConnectionRecord | undefined {
  const inner: WithRecord<net.Socket> = innermostSocket(socket)
  const handle = connectedHandle(inner, socket)
  if (!handle) return (socket as WithRecord<net.Socket>)[record] ?? inner[record]
  if (handle[record]) return handle[record]
  return inner[record]?.isPending ? bind(handle, inner) : undefined
}

/** The same as {@link recordOf} where only the handle is at hand. */
export function recordOfHandle(handle: Handle): ConnectionRecord {
  const inner = innermostHandle(handle)
  if (inner[record]) return inner[record]
  // Node knows the socket that a handle belongs to; other runtimes do not show it.
  return inner.owner instanceof net.Socket ? recordOf(inner.owner) : bind(inner, undefined)
}

/** The record of the connection that a handle is, if there is one. */
export function findRecordOfHandle(handle: Handle | undefined): ConnectionRecord | undefined {
  return handle && innermostHandle(handle)[record]
}

/** Finds the record, or makes it, and keeps it on the socket so that {@link findRecord} finds it after the close. */
export function linkRecord(socket: net.Socket): ConnectionRecord {
  const known = recordOf(socket)
  ;(socket as WithRecord<net.Socket>)[record] = known
  return known
}

/** To be called when a connection has ended, since one that never had a connected handle would pass for the next one. */
export function endRecord(ended: ConnectionRecord): void {
  ended.isPending = false
}

/** The socket that a TLSSocket was made over, where that is a socket. */
export function socketUnder(socket: net.Socket): net.Socket | undefined {
  const { _parent: under } = socket as net.Socket & { readonly _parent?: unknown }
  return under instanceof net.Socket ? under : undefined
}

function innermostSocket(socket: net.Socket): net.Socket {
  let inner = socket
  for (let under = socketUnder(inner); under; under = socketUnder(inner)) inner = under
  return inner
}

/** While a socket connects, each attempt (Happy Eyeballs) has a handle of its own. */
function connectedHandle(inner: net.Socket, socket: net.Socket): InnerHandle | undefined {
  const handle = inner.connecting ? undefined : handleOf(socket)
  return handle && innermostHandle(handle)
}

function innermostHandle(handle: Handle): InnerHandle {
  let inner: InnerHandle = handle
  while (inner._parent) inner = inner._parent
  return inner
}

/** What was noted while the socket was connecting stays with the connection that came of it. */
function bind(handle: InnerHandle, socket: WithRecord<net.Socket> | undefined): ConnectionRecord {
  const pending = socket?.[record]
  const own = pending?.isPending ? pending : new ConnectionRecord()
  own.isPending = false
  handle[record] = own
  return own
}
