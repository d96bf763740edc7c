import net from 'node:net'
import { BorrowedSocket } from '../connection/borrowed.js'
import { follow, standingOf } from '../connection/holder.js'
import { listenShared } from '../connection/shared-listener.js'
import { mayConnect, type Target, unwrap } from '../connection/target.js'
import { onAbort } from '../options/abort-signal.js'

/** A target that has a `net.Socket` or will get one. */
type Waitable = Exclude<Target, number | BorrowedSocket>

/** Whether a target is not connected yet and can still be. */
export function isConnecting(target: Target): target is Waitable {
  if (target instanceof net.Socket) return mayConnect(target)
  if (typeof target !== 'object' || target === null || target instanceof BorrowedSocket) return false
  const standing = standingOf(target)
  if (!standing) return false
  return standing.socket ? mayConnect(standing.socket) : !standing.isClosed
}

/**
 * Waits until a target is connected, is closed, or the signal is aborted. Returns the socket that was last connected or closed, the target if
 * it never had a socket, or `undefined` if the signal was aborted. The target may no longer have that socket: a pipelined response may be sent in
 * full as soon as its turn comes.
 */
export function untilConnected(
  target: Waitable,
  signal: AbortSignal | undefined,
): Promise<Waitable | undefined> {
  if (signal?.aborted) return Promise.resolve(undefined)
  return new Promise((resolve) => {
    const releases: (() => void)[] = []
    let isDone = false
    const end = (found: Waitable | undefined) => {
      isDone = true
      for (const release of releases) release()
      resolve(found)
    }
    if (signal) releases.push(onAbort(signal, () => end(undefined)))
    // A holder may get another connection after this one is closed.
    let isLast = target instanceof net.Socket
    const connection = (given: net.Socket) => {
      const socket = unwrap(given)
      if (!mayConnect(socket)) {
        end(socket)
        return
      }
      const onClose = () => {
        if (isLast) end(socket)
      }
      releases.push(
        listenShared(socket, 'connect', () => end(socket)),
        listenShared(socket, 'close', onClose),
      )
    }
    if (target instanceof net.Socket) {
      connection(target)
      return
    }
    const ended = () => {
      isLast = true
      const { socket } = standingOf(target) ?? {}
      if (!socket || socket.destroyed) end(target)
    }
    const stop = follow(target, { connection, ended })
    if (!stop) return
    if (isDone) stop()
    else releases.push(stop)
  })
}
