import type net from 'node:net'
import { descriptorOf, noDescriptor, unwrap } from './target.js'

/** What waits for sockets to get a descriptor, in the order it was asked for. */
const waiting = new WeakMap<net.Socket, ((fd: number) => void)[]>()

/**
 * Calls `apply` as soon as the socket has a descriptor, again at each connection attempt (Happy Eyeballs
 * opens several, each with a descriptor of its own), and once more when it is connected. What `apply` throws now is thrown;
 * later it destroys the socket.
 */
export function whenConnecting(target: net.Socket, apply: (fd: number) => void): void {
  const socket = unwrap(target)
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
    if (current >= 0) for (const each of waiting.get(socket) ?? []) each(current)
    else if (!socket.connecting) throw noDescriptor(socket)
  }
  const orDestroy = (run: () => void) => {
    if (socket.destroyed) return
    try {
      run()
    } catch (error) {
      socket.destroy(error as Error)
    }
  }
  // The event comes just before connect(2), which is what opens the descriptor.
  const onAttempt = () => process.nextTick(orDestroy, tryNow)
  const onConnect = () => {
    orDestroy(tryNow)
    done()
  }
  const done = () => {
    waiting.delete(socket)
    socket.off('connectionAttempt', onAttempt)
    socket.off('connect', onConnect)
    socket.off('close', done)
  }
  socket.on('connectionAttempt', onAttempt)
  // Before the program's own listeners: those of 'connect' find the socket tuned, and those of 'close' may connect
  // and tune it again.
  socket.prependListener('connect', onConnect)
  socket.prependListener('close', done)
}
