import type http from 'node:http'
import net from 'node:net'
import type { DeadpeerError } from '../errors.js'
import { onOpened, requireExtensible, socketsOf } from './agent-hooks.js'
import { keepTuning, type TuningWriter } from './kept-tuning.js'
import { findRecord, linkRecord } from './record.js'

/**
 * Applies a tuning to an agent's present and later connections. `setKeepAlive` overwrites the options, so the tuning is applied again after
 * each call. Node calls it when it keeps a connection for the next request, and axios calls it with every request.
 */
export function tuneAgent<Tuning>(agent: http.Agent, tuning: Tuning, writer: TuningWriter<Tuning>): void {
  requireExtensible(agent)
  // Connections that are not TCP are left alone: UNIX sockets, and streams through a proxy's tunnel.
  const connection = (socket: net.Socket, now: Tuning) => {
    if (socket.destroyed) return
    try {
      writer.connection(socket, now)
    } catch (error) {
      if ((error as DeadpeerError).code !== 'ERR_NOT_TCP') throw error
    }
  }
  const sockets = socketsOf(agent)
  for (const socket of sockets) connection(socket, tuning)
  const kept = keepTuning(agent, tuning, { ...writer, connection })
  if (!kept) return
  for (const socket of sockets) afterSetKeepAlive(socket, kept.tuneOrDestroy)
  const tuneFromNowOn = (socket: net.Socket) => {
    kept.tuneOrDestroy(socket)
    afterSetKeepAlive(socket, kept.tuneOrDestroy)
  }
  onOpened(agent, { opened: tuneFromNowOn, openedToProxy: tuneFromNowOn })
}

/** Calls `hear` after each `setKeepAlive` of a connection. All sockets share one function, as in close-hook.ts. */
function afterSetKeepAlive(socket: net.Socket, hear: (socket: net.Socket) => void): void {
  const record = linkRecord(socket)
  const { setKeepAlive } = socket
  record.setKeepAliveHook ??= { setKeepAlive, hear, isCalling: false }
  // A TLSSocket shares this record with the socket under it. Both are hooked, if both have the method that is saved here.
  if (record.setKeepAliveHook.setKeepAlive === setKeepAlive) {
    socket.setKeepAlive = setAndHear as typeof setKeepAlive
  }
}

function setAndHear(this: net.Socket, ...args: unknown[]): unknown {
  const hook = findRecord(this)?.setKeepAliveHook
  if (!hook) return Reflect.apply(net.Socket.prototype.setKeepAlive, this, args)
  const result: unknown = Reflect.apply(hook.setKeepAlive, this, args)
  // A connecting socket is tuned when it is connected. Without the native core the tuning itself calls setKeepAlive.
  if (hook.isCalling || this.connecting) return result
  hook.isCalling = true
  hook.hear(this)
  hook.isCalling = false
  return result
}
