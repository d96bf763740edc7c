import type net from 'node:net'
import type { NativeCore } from '../kernel/binding.js'
import { type CloseSnapshot, takeCloseSnapshot } from './close-snapshot.js'
import { type ConnectionRecord, endRecord, linkRecord } from './record.js'
import { descriptorOf } from './target.js'

/** Called when Node closes a socket. */
export interface CloseListener {
  /** Right before the close: the descriptor can still be read. */
  beforeClose(snapshot: CloseSnapshot | undefined): void
  /**
   * After the close, and after `'error'` if there is one.
   *
   * @param error what the socket was destroyed with.
   */
  afterClose(error: Error | null): void
}

type Destroy = (this: net.Socket, error: Error | null, callback: (error?: Error | null) => void) => void

/** A socket's `_destroy` as it was before, and who listens. A TLSSocket and the socket under it are closed one by one: each has its own. */
interface Hook {
  readonly core: NativeCore | undefined
  readonly destroy: Destroy
  readonly listeners: CloseListener[]
  record: ConnectionRecord
}

const hook = Symbol('deadpeer.closeHook')

type Hooked = net.Socket & { _destroy: Destroy; [hook]?: Hook | undefined }

/**
 * Takes a snapshot into the connection's record when Node closes the socket, and calls the listener. When `'error'` is emitted it is too late: the descriptor is closed,
 * and only the counters tell which of three causes an ETIMEDOUT had. Nor is there always an error: Node's agents end an idle connection
 * without one, and a TLSSocket closes the socket under it without one.
 *
 * The hook is the instance's own `_destroy`, like the one that the `destroy` option of a stream's constructor sets. Unlike a listener it stays
 * when a program calls `removeAllListeners`. Each listener must be removed with {@link releaseCloseSnapshot}, also after the close.
 *
 * @param core without it there is no snapshot, and only the listener is called.
 */
export function requestCloseSnapshot(
  core: NativeCore | undefined,
  socket: net.Socket,
  listener: CloseListener,
): void {
  const hooked = socket as Hooked
  const record = linkRecord(socket)
  const known = hooked[hook]
  if (known) {
    known.record = record
    known.listeners.push(listener)
    return
  }
  hooked[hook] = { core, destroy: hooked._destroy, listeners: [listener], record }
  hooked._destroy = snapshotAndDestroy
}

/** The last listener to leave removes the hook, unless other code has wrapped it in another `_destroy`, which then still calls it. */
export function releaseCloseSnapshot(socket: net.Socket, listener: CloseListener): void {
  const hooked = socket as Hooked
  const own = hooked[hook]
  const place = own ? own.listeners.indexOf(listener) : -1
  if (!own || place < 0) return
  own.listeners.splice(place, 1)
  if (own.listeners.length > 0 || hooked._destroy !== snapshotAndDestroy) return
  // Assigned, not deleted: V8 makes an object slow when a property is deleted from it.
  hooked._destroy = own.destroy
  hooked[hook] = undefined
}

/** One function for all sockets: a closure for each would cost V8 ten times as much as the rest of watching. */
function snapshotAndDestroy(
  this: Hooked,
  error: Error | null,
  callback: (error?: Error | null) => void,
): void {
  const { core, destroy, listeners, record } = this[hook]!
  if (listeners.length === 0) {
    destroy.call(this, error, callback)
    return
  }
  // Of a TLSSocket and the socket under it, the first to be closed tells: it is the one that has the error.
  if (core) record.closeSnapshot ??= takeCloseSnapshot(core, descriptorOf(this), error !== null)
  for (const listener of listeners) listener.beforeClose(record.closeSnapshot)
  destroy.call(this, error, (result) => {
    endRecord(record)
    callback(result)
    for (const listener of listeners) process.nextTick(tellClosed, listener, error)
  })
}

function tellClosed(listener: CloseListener, error: Error | null): void {
  listener.afterClose(error)
}
