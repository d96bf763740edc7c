import type net from 'node:net'
import { endRecord, recordOf } from './record.js'
import { descriptorOf, type Handle, handleOf, noDescriptor, unwrap } from './target.js'

/**
 * Calls `apply` as soon as the socket has a descriptor, and again at each connection attempt: Happy Eyeballs opens several, each with its own
 * descriptor. Calls it once more when the socket is connected, if Node may have overwritten the options since. If the first call of `apply` throws,
 * this function throws too. An error of a later call destroys the socket.
 */
export function whenConnecting(target: net.Socket, apply: (fd: number) => void): void {
  const socket = unwrap(target)
  const fd = descriptorOf(socket)
  if (fd >= 0) apply(fd)
  const record = recordOf(socket)
  if (record.onDescriptor) {
    record.onDescriptor.push(apply)
    return
  }
  record.onDescriptor = [apply]

  let applied: Handle | undefined
  const applyAll = () => {
    const current = descriptorOf(socket)
    applied = handleOf(socket)
    if (current >= 0) for (const each of record.onDescriptor ?? []) each(current)
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
  // The event comes just before connect(2), which opens the descriptor.
  const onAttempt = () => process.nextTick(orDestroy, applyAll)
  const onConnect = () => {
    // This moves the record to the handle.
    recordOf(socket)
    if (handleOf(socket) !== applied || mayNodeSetKeepAlive(socket)) orDestroy(applyAll)
    stop()
  }
  const onClose = () => {
    endRecord(record)
    stop()
  }
  const stop = () => {
    record.onDescriptor = undefined
    socket.off('connectionAttempt', onAttempt)
    socket.off('connect', onConnect)
    socket.off('close', onClose)
  }
  socket.on('connectionAttempt', onAttempt)
  // Run before the program's own listeners: its 'connect' listeners get a tuned socket, and its 'close' listeners may
  // connect and tune it again.
  socket.prependListener('connect', onConnect)
  socket.prependListener('close', onClose)
}

/** The symbol under which Node notes `setKeepAlive` and the option `keepAlive` on a socket until it is connected. */
let noted: symbol | undefined

/** Whether Node sets keepalive on the handle when the socket is connected, right before `'connect'`. */
function mayNodeSetKeepAlive(socket: net.Socket): boolean {
  noted ??= Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'kSetKeepAlive')
  return noted === undefined || (socket as unknown as Record<symbol, unknown>)[noted] !== false
}
