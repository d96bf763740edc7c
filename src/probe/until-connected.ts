import net from 'node:net'
import { BorrowedSocket } from '../connection/borrowed.js'
import { follow, standingOf } from '../connection/holder.js'
import { mayConnect, type Target, unwrap } from '../connection/target.js'
import { onAbort } from '../options/abort-signal.js'

/** A target that has a `net.Socket`, or gets one. */
type Waitable = Exclude<Target, number | BorrowedSocket>

/** Whether a target is not connected yet, and may be. */
export function isConnecting(target: Target): target is Waitable {
  if (target instanceof net.Socket) return mayConnect(target)
  if (typeof target !== 'object' || target === null || target instanceof BorrowedSocket) return false
  const standing = standingOf(target)
  if (!standing) return false
  return standing.socket ? mayConnect(standing.socket) : !standing.isClosed
}

/** Waits until a target is connected, is closed, or the signal is aborted. Returns whether it was aborted. */
export function untilConnected(target: Waitable, signal: AbortSignal | undefined): Promise<boolean> {
  if (signal?.aborted) return Promise.resolve(true)
  return new Promise((resolve) => {
    const releases: (() => void)[] = []
    let isDone = false
    const end = (isAborted: boolean) => {
      isDone = true
      for (const release of releases) release()
      resolve(isAborted)
    }
    if (signal) releases.push(onAbort(signal, () => end(true)))
    // A holder may get another connection where this one is closed.
    let isLast = target instanceof net.Socket
    const connection = (given: net.Socket) => {
      const socket = unwrap(given)
      if (!mayConnect(socket)) {
        end(false)
        return
      }
      const onConnect = () => end(false)
      const onClose = () => {
        if (isLast) end(false)
      }
      socket.once('connect', onConnect)
      socket.once('close', onClose)
      releases.push(() => socket.off('connect', onConnect).off('close', onClose))
    }
    if (target instanceof net.Socket) {
      connection(target)
      return
    }
    const ended = () => {
      isLast = true
      const { socket } = standingOf(target) ?? {}
      if (!socket || socket.destroyed) end(false)
    }
    const stop = follow(target, { connection, ended })
    if (!stop) return
    if (isDone) stop()
    else releases.push(stop)
  })
}
