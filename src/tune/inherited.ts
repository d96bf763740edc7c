import { setImmediate } from 'node:timers'
import { nativeCore } from '../kernel/binding.js'
import { optionNames } from '../kernel/socket-options.js'
import { findOverlay } from '../overlay/overlay.js'

/**
 * Finds out when the accepted connections of a server start to inherit its listener's options, so that they need not be tuned one by one.
 *
 * The kernel copies the options when a handshake completes. Connections that were queued before the listener was tuned lack them, and a
 * connection whose handshake completed between two writes has only some. In a cluster worker all connections lack them unless the primary
 * tuned its listener. Node's own `keepAlive: true` overwrites them.
 *
 * So each connection is tuned until one arrives, in a later turn of the event loop, that has every option already. The queue is first in,
 * first out, so all later connections inherit too.
 */
export class InheritedOptions {
  /** Whether a connection has arrived that inherited every option, so that all later ones do too. */
  isProven = false
  /** Set until the turn of the event loop that tuned the listener has ended. */
  #turn: object | undefined

  /** Called after the listener was tuned. */
  listenerTuned(): void {
    const turn = {}
    this.isProven = false
    this.#turn = turn
    setImmediate(() => {
      if (this.#turn === turn) this.#turn = undefined
    }).unref()
  }

  /** Tunes a connection that the server has accepted, and notes whether it had every option already. */
  tune(fd: number, write: () => void): void {
    const before = readOptionValues(fd)
    write()
    this.isProven = this.#turn === undefined && isUnchanged(fd, before)
  }
}

function readOptionValues(fd: number): Float64Array {
  const values = new Float64Array(optionNames.length)
  nativeCore()?.readOptions(fd, values)
  return values
}

/** Whether tuning a connection wrote no new value, and no value is deferred. */
function isUnchanged(fd: number, before: Float64Array): boolean {
  const core = nativeCore()
  if (!core || findOverlay(core, fd)?.deferred) return false
  return readOptionValues(fd).every((value, i) => value === before[i])
}
