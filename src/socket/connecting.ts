import type net from 'node:net'
import { descriptorOf } from './target.js'

/** What waits for sockets to get a descriptor, the newest last. */
const waiting = new WeakMap<net.Socket, ((fd: number) => void)[]>()

/**
 * Calls `apply` as soon as the socket has a descriptor, again at each connection attempt (Happy Eyeballs
 * opens several, each with a descriptor of its own), and once more when it is connected. What `apply` throws now is thrown;
 * later it destroys the socket.
 */
export function whenConnecting(socket: net.Socket, apply: (fd: number) => void): void {
  const fd = descriptorOf(socket)
  if (fd >= 0) apply(fd)
  const queue = waiting.get(socket)
  if (queue) {
    queue.push(apply)
    return
  }
  waiting.set(socket, [apply])

  const tryNow = () => {
    const current = descriptorOf(socket)
    if (current < 0 || socket.destroyed) return
    try {
      for (const each of waiting.get(socket) ?? []) each(current)
    } catch (error) {
      socket.destroy(error as Error)
    }
  }
  // The event comes just before connect(2), which is what opens the descriptor.
  const onAttempt = () => process.nextTick(tryNow)
  const onConnect = () => {
    tryNow()
    done()
  }
  const done = () => {
    waiting.delete(socket)
    socket.off('connectionAttempt', onAttempt)
    socket.off('connect', onConnect)
    socket.off('close', done)
  }
  socket.on('connectionAttempt', onAttempt)
  // Before the program's own listeners, so that they find the socket tuned.
  socket.prependListener('connect', onConnect)
  socket.on('close', done)
}
