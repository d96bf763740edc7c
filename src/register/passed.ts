import diagnostics from 'node:diagnostics_channel'
import type { EventEmitter } from 'node:events'
import net from 'node:net'

/** The message that Node sends with a handle. `key` names the server that accepted the connection, if a server did. */
interface Internal {
  readonly cmd?: string
  readonly type?: string
  readonly key?: string
}

interface Handle {
  readonly owner?: unknown
}

/** One end of an IPC channel: `process`, or a child process. */
interface Channel extends EventEmitter {
  /** The message that the other process has not acknowledged yet. */
  readonly _pendingMessage?: { readonly handle: Handle } | null
}

interface Listeners {
  /** Called when another process has sent a socket, before the program gets it. */
  received(socket: net.Socket, isAccepted: boolean): void
  /** Called when a socket was sent to another process. Node is about to close it here, without a `'close'` event. */
  sent(socket: net.Socket): void
}

/**
 * Reports sockets that `process.send` or `subprocess.send` passes between processes.
 *
 * Node creates the socket in its own listener for `'internalMessage'`. Another listener for that event does not keep the channel open and does
 * not consume messages that the program has not read yet. A listener for `'message'` would do both.
 */
export function onPassed({ received, sent }: Listeners): void {
  const listen = (channel: Channel) => {
    // This runs before Node's own listener, which creates or closes the socket.
    channel.prependListener('internalMessage', ({ cmd, type, key }: Internal, handle?: Handle) => {
      if (cmd === 'NODE_HANDLE_ACK') {
        const owner = channel._pendingMessage?.handle.owner
        if (owner instanceof net.Socket) sent(owner)
      }
      if (cmd !== 'NODE_HANDLE' || type !== 'net.Socket' || !handle) return
      // Node passes the socket to the program in the tick after this.
      process.nextTick(() => {
        if (handle.owner instanceof net.Socket) received(handle.owner, key !== undefined)
      })
    })
  }
  if (process.channel) listen(process)
  diagnostics.subscribe('child_process', (message) => listen((message as { process: Channel }).process))
}
