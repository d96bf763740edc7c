import net from 'node:net'
import { sharedState } from '../kernel/shared-state.js'
import type { Profile } from '../profile/profile.js'
import type { CloseSnapshot } from './close-snapshot.js'
import type { Endpoints } from './endpoints.js'
import { ConnectionPath } from './path.js'
import { type Handle, handleOf } from './target.js'

/** The destination of a connection. For an accepted one: the address of the peer and the local port. */
export interface Destination {
  /** The name that the program connects to, if it gave a name. */
  host?: string | undefined
  address?: string | undefined
  port?: number | undefined
}

/** The original `setKeepAlive`, and the function to call after it. */
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
 * The state that this process keeps for one connection. {@link recordOf} finds it. Each field belongs to one module.
 *
 * All fields are set here, so that V8 gives every record the same shape.
 */
export class ConnectionRecord {
  /** `SO_COOKIE`, socket(7). It never changes. `undefined` until it is read. */
  cookie: bigint | undefined = undefined
  /**
   * When the peer was last heard, by the last sample of this process; in ms on the native core's clock. -Infinity: not known. In a time namespace
   * it can be below 0, because the clock may have started after the peer was heard.
   */
  heardAt = Number.NEGATIVE_INFINITY
  /**
   * Whether the keepalive timer is known to be set to `initialDelay`, as it is after a write of that option. Switching keepalive on again moves
   * the timer, and so does an interval longer than `initialDelay`.
   */
  isTimerKnown = false

  /** Whether its path acknowledges keepalive probes. `undefined` until a probe or a heartbeat needs it: see {@link pathOf}. */
  path: ConnectionPath | undefined = undefined

  /** Both addresses. They are kept because they cannot be read after the close. */
  endpoints: Endpoints | undefined = undefined
  /** The kernel's state of the connection right before Node closed it. */
  closeSnapshot: CloseSnapshot | undefined = undefined

  /** Whether its death was published on `deadpeer:death`. */
  isDeathPublished = false

  /** The profile that the program has set by its own calls. */
  explicitProfile: Profile | undefined = undefined
  /** The profile that `deadpeer/register` applies. */
  registerProfile: Profile | undefined = undefined
  /** The destination that the socket is connecting to. Only `deadpeer/register` with rules uses it. */
  destination: Destination | undefined = undefined
  /** Called with the descriptor of each connection attempt. `undefined` when the socket is not connecting. */
  onDescriptor: ((fd: number) => void)[] | undefined = undefined

  /** The wrapper that a tuned agent has put in place of `setKeepAlive`. */
  setKeepAliveHook: SetKeepAliveHook | undefined = undefined
  /** An entry for each agent of this package that opened it: one, unless agents are nested. */
  agentConnections: readonly AgentConnection[] = none

  /** Whether the socket is not connected yet, so that there is no handle to keep the record on. */
  isPending = true
}

const none: readonly AgentConnection[] = Object.freeze([])

/**
 * The record is a property of the handle, because a handle stands for one connection, and a descriptor's number does not. With thousands of
 * connections a lookup in a WeakMap costs half as much as a system call. {@link linkRecord} also keeps it on the socket, for callers that need it
 * before there is a handle, or after Node has closed the handle.
 */
const newSymbol = Symbol('deadpeer.connection')
const recordKey = sharedState('record', (): typeof newSymbol => newSymbol)

type WithRecord<Owner> = Owner & { [newSymbol]?: ConnectionRecord }
type InnerHandle = WithRecord<Handle> & { readonly _parent?: InnerHandle | null; readonly owner?: unknown }

/**
 * Finds or makes the record of the connection that a socket has now. A TLSSocket over another socket is the same connection. A socket
 * that connects again is another connection and gets another record.
 */
export function recordOf(socket: net.Socket): ConnectionRecord {
  const inner: WithRecord<net.Socket> = innermostSocket(socket)
  const handle = connectedHandle(inner, socket)
  if (handle) return handle[recordKey()] ?? bind(handle, inner)
  const known = inner[recordKey()]
  if (known?.isPending) return known
  const made = new ConnectionRecord()
  inner[recordKey()] = made
  return made
}

/** The record of the connection that a socket has, or had last, if there is one. */
export function findRecord(socket: net.Socket): ConnectionRecord | undefined {
  const inner: WithRecord<net.Socket> = innermostSocket(socket)
  const handle = connectedHandle(inner, socket)
  if (!handle) return (socket as WithRecord<net.Socket>)[recordKey()] ?? inner[recordKey()]
  if (handle[recordKey()]) return handle[recordKey()]
  return inner[recordKey()]?.isPending ? bind(handle, inner) : undefined
}

/** Like {@link recordOf}, for callers that have only the handle. */
export function recordOfHandle(handle: Handle): ConnectionRecord {
  const inner = innermostHandle(handle)
  const known = inner[recordKey()]
  if (known) return known
  // Node's handle has its socket as `owner`; in other runtimes it does not.
  return inner.owner instanceof net.Socket ? recordOf(inner.owner) : bind(inner, undefined)
}

/** What is known of the path of a handle's connection. */
export function pathOf(handle: Handle): ConnectionPath {
  const known = recordOfHandle(handle)
  known.path ??= new ConnectionPath(isOutgoing(innermostHandle(handle).owner))
  return known.path
}

/** Node sets `server` of an accepted socket. A socket without one is taken for an outgoing one: at worst it knows an ephemeral port. */
function isOutgoing(owner: unknown): boolean {
  return owner instanceof net.Socket && !(owner as net.Socket & { readonly server?: unknown }).server
}

/** The record of a handle's connection, if there is one. */
export function findRecordOfHandle(handle: Handle | undefined): ConnectionRecord | undefined {
  return handle && innermostHandle(handle)[recordKey()]
}

/** Finds or makes the record, and keeps it on the socket too, so that {@link findRecord} finds it after the close. */
export function linkRecord(socket: net.Socket): ConnectionRecord {
  const known = recordOf(socket)
  ;(socket as WithRecord<net.Socket>)[recordKey()] = known
  return known
}

/** Called when a connection has ended. Otherwise the record of a connection that never had a connected handle would be used for the next one. */
export function endRecord(ended: ConnectionRecord): void {
  ended.isPending = false
}

/** The socket under a TLSSocket, if it is a socket. */
export function socketUnder(socket: net.Socket): net.Socket | undefined {
  const { _parent: under } = socket as net.Socket & { readonly _parent?: unknown }
  return under instanceof net.Socket ? under : undefined
}

function innermostSocket(socket: net.Socket): net.Socket {
  let inner = socket
  for (let under = socketUnder(inner); under; under = socketUnder(inner)) inner = under
  return inner
}

/** The handle of a connected socket. While a socket connects, each attempt (Happy Eyeballs) has its own handle. */
function connectedHandle(inner: net.Socket, socket: net.Socket): InnerHandle | undefined {
  const handle = inner.connecting ? undefined : handleOf(socket)
  return handle && innermostHandle(handle)
}

function innermostHandle(handle: Handle): InnerHandle {
  let inner: InnerHandle = handle
  while (inner._parent) inner = inner._parent
  return inner
}

/** Binds a record to a handle. A record that was made while the socket was connecting stays with the resulting connection. */
function bind(handle: InnerHandle, socket: WithRecord<net.Socket> | undefined): ConnectionRecord {
  const pending = socket?.[recordKey()]
  const own = pending?.isPending ? pending : new ConnectionRecord()
  own.isPending = false
  handle[recordKey()] = own
  return own
}
