import { setImmediate } from 'node:timers'
import { nativeCore } from '../kernel/binding.js'
import { optionNames } from '../kernel/socket-options.js'
import { findOverlay } from '../overlay/overlay.js'

/**
 * Finds out from when on the connections that a server accepts inherit the options of its listener, so that they need not be tuned one by one.
 *
 * The kernel copies the options when a handshake completes. Connections that were queued before the listener was tuned lack them, and one
 * whose handshake completed between two writes has some of them. In a cluster worker all connections lack them unless the primary tuned
 * its listener, and Node's own `keepAlive: true` overwrites them. So each connection is tuned until one arrives that has every option
 * already, in a later turn of the event loop: the queue is first in, first out, so all that follow inherit too.
 */
export class InheritedOptions {
  /** Whether a connection has shown that it and all that follow inherit the options. */
  isProven = false
  /** Set until the turn of the event loop that tuned the listener has ended. */
  #turn: object | undefined

  /** To be called when the listener is tuned. */
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

/** Whether tuning a connection wrote nothing new to it, and nothing waits to be written. */
function isUnchanged(fd: number, before: Float64Array): boolean {
  const core = nativeCore()
  if (!core || findOverlay(core, fd)?.deferred) return false
  return readOptionValues(fd).every((value, i) => value === before[i])
}
