import type net from 'node:net'
import { isShared, onAccepted, onListen } from '../connection/accepting-server.js'
import type { TuningWriter } from '../connection/kept-tuning.js'
import { type Handle, handleOf } from '../connection/target.js'
import { DeadpeerError } from '../errors.js'
import { sharedState } from '../kernel/shared-state.js'
import type { Compiled } from '../profile/compile.js'
import type { Profile } from '../profile/profile.js'
import { InheritedOptions } from './inherited.js'

/** How a tuning is written to a server. */
interface ServerTuningWriter extends TuningWriter<Compiled> {
  /** Writes to a listening descriptor. The connections that it accepts inherit the options. */
  listener(fd: number, tuning: Compiled): void
}

const tunedServers = sharedState('tunedServers', () => new WeakMap<net.Server, TunedServer>())

/**
 * Writes a tuning to the descriptor that a server listens on, now and at every later `listen()`. The kernel copies the options to each
 * connection. Connections that did not inherit all options are tuned one by one.
 */
export function tuneServer(server: net.Server, tuning: Compiled, writer: ServerTuningWriter): void {
  const known = tunedServers().get(server)
  if (known) {
    known.tune(tuning)
    return
  }
  const tuned = new TunedServer(server, tuning, writer)
  if (server.listening) tuned.tune(tuning)
  tunedServers().set(server, tuned)
  tuneOnListen()
  // This is for Bun. On Node the listener has its options before this event.
  server.prependListener('listening', () => tuned.onListening())
}

/** The profile that the program has tuned a server to. */
export function profileOfServer(server: net.Server): Profile | undefined {
  return tunedServers().get(server)?.tuning.profile
}

/** A server with a tuning that applies whenever it listens. */
class TunedServer {
  tuning: Compiled
  readonly #server: net.Server
  readonly #writer: ServerTuningWriter
  /** The listening handle that has the tuning. */
  #handle: Handle | undefined
  readonly #inherited = new InheritedOptions()
  #stopChecking: (() => void) | undefined

  constructor(server: net.Server, tuning: Compiled, writer: ServerTuningWriter) {
    this.#server = server
    this.tuning = tuning
    this.#writer = writer
  }

  tune(tuning: Compiled): void {
    if (this.#server.listening) this.#apply(tuning)
    this.tuning = tuning === this.tuning ? tuning : this.#writer.merge(this.tuning, tuning)
  }

  /** Tunes the listening handle, unless it is tuned already. */
  onListening(): void {
    const handle = handleOf(this.#server)
    if (handle === undefined || handle === this.#handle) return
    // A refused tuning is not tried again at 'listening'.
    this.#handle = handle
    try {
      this.#apply(this.tuning)
    } catch (error) {
      // listen() has not returned yet. Its caller may add the 'error' listener after it.
      process.nextTick(() => this.#server.emit('error', error))
    }
  }

  #apply(tuning: Compiled): void {
    const address = this.#server.address()
    if (typeof address === 'string') {
      const message = `The server listens on the UNIX socket ${JSON.stringify(address)}: it accepts no TCP connections.`
      throw new DeadpeerError('ERR_NOT_TCP', message)
    }
    const handle = handleOf(this.#server)
    if (!isShared(this.#server)) this.#writer.listener(handle?.fd ?? -1, tuning)
    this.#handle = handle
    this.#checkAccepted()
  }

  /** Tunes each connection that is accepted, until one shows that it has inherited the options. */
  #checkAccepted(): void {
    this.#inherited.listenerTuned()
    this.#stopChecking ??= onAccepted(this.#server, (socket) => {
      this.#inherited.tune(handleOf(socket)?.fd ?? -1, () => this.#writer.connection(socket, this.tuning))
      if (!this.#inherited.isProven) return
      this.#stopChecking?.()
      this.#stopChecking = undefined
    })
  }
}

let isSubscribed = false

function tuneOnListen(): void {
  if (isSubscribed) return
  isSubscribed = true
  onListen((server) => tunedServers().get(server)?.onListening())
}
