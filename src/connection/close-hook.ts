import type net from 'node:net'
import type { NativeCore } from '../kernel/binding.js'
import { sharedState } from '../kernel/shared-state.js'
import { type CloseSnapshot, takeCloseSnapshot } from './close-snapshot.js'
import { type ConnectionRecord, endRecord, linkRecord } from './record.js'
import { descriptorOf } from './target.js'

/** Called when Node closes a socket. */
export interface CloseListener {
  /** Called right before the close, while the descriptor can still be read. */
  beforeClose(snapshot: CloseSnapshot | undefined): void
  /**
   * Called after the close, and after `'error'` if there is one.
   *
   * @param error the error that the socket was destroyed with.
   */
  afterClose(error: Error | null): void
}

type Destroy = (this: net.Socket, error: Error | null, callback: (error?: Error | null) => void) => void

/** A socket's original `_destroy`, and its listeners. A TLSSocket and the socket under it are closed one by one, so each has its own hook. */
interface Hook {
  readonly core: NativeCore | undefined
  readonly destroy: Destroy
  readonly listeners: CloseListener[]
  record: ConnectionRecord
}

const newSymbol = Symbol('deadpeer.closeHook')
const hookKey = sharedState('closeHook', (): typeof newSymbol => newSymbol)

type Hooked = net.Socket & { _destroy: Destroy; [newSymbol]?: Hook | undefined }

/**
 * Takes a snapshot into the connection's record when Node closes the socket, and calls the listener. An `'error'` listener would come too late:
 * the descriptor is closed by then, and only the counters show which of three causes an ETIMEDOUT had. Some closes have no error: Node's agents
 * end an idle connection without one, and a TLSSocket closes the socket under it without one.
 *
 * The hook is the instance's own `_destroy`, like the one that the `destroy` option of a stream's constructor sets. Unlike a listener it stays
 * when a program calls `removeAllListeners`. Each listener must be removed with {@link releaseCloseSnapshot}, even after the close.
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
  const known = hooked[hookKey()]
  if (known) {
    known.record = record
    known.listeners.push(listener)
    return
  }
  hooked[hookKey()] = { core, destroy: hooked._destroy, listeners: [listener], record }
  hooked._destroy = snapshotAndDestroy
}

/** Removes a listener. The last one removes the hook too, unless other code has wrapped it in another `_destroy`, which still calls it. */
export function releaseCloseSnapshot(socket: net.Socket, listener: CloseListener): void {
  const hooked = socket as Hooked
  const own = hooked[hookKey()]
  const place = own ? own.listeners.indexOf(listener) : -1
  if (!own || place < 0) return
  own.listeners.splice(place, 1)
  if (own.listeners.length > 0 || hooked._destroy !== snapshotAndDestroy) return
  // Assigned, not deleted, because V8 makes objects slow when a property is deleted.
  hooked._destroy = own.destroy
  hooked[hookKey()] = undefined
}

/** All sockets share one function. A closure for each socket would cost ten times as much as the rest of watching. */
function snapshotAndDestroy(
  this: Hooked,
  error: Error | null,
  callback: (error?: Error | null) => void,
): void {
  const { core, destroy, listeners, record } = this[hookKey()]!
  if (listeners.length === 0) {
    destroy.call(this, error, callback)
    return
  }
  // A TLSSocket and the socket under it share a record. The first to be closed has the error, so its snapshot counts.
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
