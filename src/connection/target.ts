import net from 'node:net'
import type { Duplex } from 'node:stream'
import { types } from 'node:util'
import { DeadpeerError, InvalidTypeError } from '../errors.js'
import { describe } from '../options/check.js'
import { BorrowedSocket } from './borrowed.js'
import { heldSocket, standingOf } from './holder.js'
import { isTargetLike, notATarget } from './not-a-target.js'

/**
 * One connection, whatever object the program has for it:
 *
 * - a `net.Socket` or `tls.TLSSocket`;
 * - an HTTP request or response of Node, fastify or axios (`ClientRequest`, `IncomingMessage`, `ServerResponse`), or any object that has
 *   the connection as `socket`;
 * - an HTTP/2 session, stream, request or response;
 * - a WebSocket of `ws`, or a stream made from one (`client.stream` of mqtt over `ws://`);
 * - a Socket of `socket.io` or `socket.io-client`;
 * - the number of a file descriptor that the caller owns;
 * - a connection of another process, by `borrowSocket` of `deadpeer/host`.
 *
 * docs/targets.md lists what each function does with each kind of target.
 */
export type Target = OwnTarget | BorrowedSocket

/**
 * One connection of this process.
 *
 * @inline
 */
export type OwnTarget =
  | net.Socket
  | { readonly socket: net.Socket | null | undefined }
  | { readonly _socket: net.Socket | null | undefined }
  | { readonly readyState: number; ping(): void; terminate(): void }
  | { readonly raw: { readonly socket: object | null | undefined } }
  | { readonly nsp: object; readonly conn: object }
  | { readonly io: object; readonly connected: boolean; readonly disconnected: boolean }
  | Duplex
  | number

/** Node's internal object under a socket or server. Node has no public access to the descriptor. */
export interface Handle {
  readonly fd?: number
  /** Whether Node reads from it; absent in other runtimes. */
  readonly reading?: boolean
}

/** The stream's handle, which stands for one descriptor for as long as it exists. */
export function handleOf(owner: net.Socket | net.Server): Handle | undefined {
  return (owner as unknown as { _handle?: Handle | null })._handle ?? undefined
}

export function targetsOf(targets: Iterable<Target>, one: string): Target[] {
  if (typeof targets !== 'string' && typeof targets?.[Symbol.iterator] === 'function') return [...targets]
  throw new InvalidTypeError(
    `targets must be iterable: an array or a Set of connections. ${hintForList(targets, one)}`,
    { field: 'targets' },
  )
}

function hintForList(given: unknown, one: string): string {
  if (types.isPromise(given)) return 'Got a Promise: await it, and pass what it resolves to.'
  const isOne =
    typeof given === 'number' || (typeof given === 'object' && given !== null && isTargetLike(given))
  return isOne ? `Got one connection: use ${one}, or put it into an array.` : `Got ${describe(given)}.`
}

/** The socket that a target has now, which may be connecting. */
export function socketOf(target: Exclude<OwnTarget, number>): net.Socket {
  if (target instanceof net.Socket) return target
  const standing = typeof target === 'object' && target !== null ? standingOf(target) : undefined
  if (!standing) throw notATarget(target)
  // Between two long-polling requests there is no socket.
  if (!standing.socket) throw noSocket(target)
  return standing.socket
}

/** The socket that a target has now, if it has one. */
export function socketNow(target: Exclude<OwnTarget, number>): net.Socket | undefined {
  if (target instanceof net.Socket) return target
  return (typeof target === 'object' && target !== null && heldSocket(target)) || undefined
}

/** The error for a holder that has no socket. */
export function noSocket(target: object): DeadpeerError {
  const { isClosed, waitFor } = standingOf(target) ?? { isClosed: true, waitFor: '' }
  if (!isClosed) return notConnectedYet(target, waitFor)
  const name = target.constructor?.name ?? 'object'
  return new DeadpeerError('ERR_SOCKET_CLOSED', `This ${name} has no socket: its connection is closed.`)
}

/**
 * A socket's descriptor, or -1 if it has none (yet). It is read from the handle each time, which takes 45 ns. A kept number could be wrong. A TLS
 * connection's handle outlives the descriptor of the socket under it, and another socket may get that number at once.
 */
export function descriptorOf(socket: net.Socket): number {
  return handleOf(socket)?.fd ?? -1
}

/** Whether Node reads from the socket. It does not if the stream is paused and its buffer is full, or at its end. */
export function isReading(socket: net.Socket): boolean {
  const handle = handleOf(socket)
  return handle !== undefined && handle.reading !== false && !socket.readableEnded
}

/** Whether Node has data to write to the socket, or has to finish a write. */
export function isWriting(socket: net.Socket): boolean {
  return socket.writableLength > 0 || (socket.writableEnded && !socket.writableFinished)
}

const noop = () => {}

/**
 * The socket behind HTTP/2's proxy, which forbids some methods. Removing a listener that does not exist returns the emitter itself, not the
 * proxy.
 */
export function unwrap(socket: net.Socket): net.Socket {
  return socket.off('deadpeer', noop)
}

/** Whether a socket without a descriptor can still get one. */
export function mayConnect(socket: net.Socket): boolean {
  return socket.connecting || (!socket.destroyed && handleOf(socket) === undefined && !isHidden(socket))
}

/** Whether a socket is connected and has no handle, as in Bun's HTTP server. */
function isHidden(socket: net.Socket): boolean {
  return handleOf(socket) === undefined && socket.remoteAddress !== undefined
}

/** Runs a synchronous function on a target's descriptor. The descriptor of a borrowed socket is borrowed for that time. */
export function withDescriptor<T>(target: Target, run: (fd: number) => T): T {
  return target instanceof BorrowedSocket ? target.use(run) : run(requireDescriptor(target))
}

/** The current descriptor of a target. */
export function requireDescriptor(target: OwnTarget): number {
  if (typeof target === 'number') return checkDescriptor(target)
  const socket = socketOf(target)
  const fd = descriptorOf(socket)
  if (fd >= 0) return fd
  throw noDescriptorOf(target, socket)
}

export function isDescriptor(fd: number): boolean {
  return Number.isInteger(fd) && fd >= 0 && fd <= 0x7fffffff
}

export function checkDescriptor(fd: number): number {
  if (isDescriptor(fd)) return fd
  throw new InvalidTypeError(`A file descriptor must be a whole number, 0 or greater; got ${fd}.`, {
    field: 'target',
  })
}

/** Checks a target without using its descriptor. */
export function checkTarget(target: Target): void {
  if (target instanceof BorrowedSocket) return
  if (typeof target === 'number') checkDescriptor(target)
  else if (socketOf(target).destroyed) throw noDescriptor(socketOf(target))
}

/** The error for a target whose socket has no descriptor. It names the event of the target, because the program has the target and not the socket. */
export function noDescriptorOf(target: Exclude<OwnTarget, number>, socket: net.Socket): DeadpeerError {
  const isHolder = !(target instanceof net.Socket) && mayConnect(socket)
  return isHolder ? notConnectedYet(target, standingOf(target)?.waitFor ?? '') : noDescriptor(socket)
}

function notConnectedYet(target: object, waitFor: string): DeadpeerError {
  const name = target.constructor?.name ?? 'object'
  return new DeadpeerError('ERR_SOCKET_CLOSED', `This ${name} is not connected yet; ${waitFor}.`)
}

/** The error for a socket that has no descriptor. */
export function noDescriptor(socket: net.Socket): DeadpeerError {
  if (socket.destroyed) return new DeadpeerError('ERR_SOCKET_CLOSED', 'The socket is closed.')
  if (mayConnect(socket)) return notConnected()
  if (isHidden(socket)) {
    return new DeadpeerError(
      'ERR_UNSUPPORTED_PLATFORM',
      'This runtime does not expose the descriptor of this socket. Bun does not expose it for sockets that its HTTP server accepted.',
    )
  }
  // A TLS connection over a stream that is not a socket.
  return new DeadpeerError(
    'ERR_NOT_TCP',
    'The socket has no descriptor of its own: there is no TCP connection under it.',
  )
}

export function notConnected(): DeadpeerError {
  return new DeadpeerError(
    'ERR_SOCKET_CLOSED',
    "The socket is not connected yet; wait for its 'connect' event.",
  )
}
