import diagnostics from 'node:diagnostics_channel'
import type { EventEmitter } from 'node:events'
import net from 'node:net'

/** What Node sends along with a handle. `key` names the server that accepted the connection, where a server did. */
interface Internal {
  readonly cmd?: string
  readonly type?: string
  readonly key?: string
}

interface Handle {
  readonly owner?: unknown
}

/** `process`, or a child process: the end of a channel. */
interface Channel extends EventEmitter {
  /** What was sent and is not acknowledged yet. */
  readonly _pendingMessage?: { readonly handle: Handle } | null
}

interface Hearers {
  /** A socket that another process has sent here, before the program gets it. */
  received(socket: net.Socket, isAccepted: boolean): void
  /** A socket that was sent to another process, and is about to be closed here. It gets no `'close'` event. */
  sent(socket: net.Socket): void
}

/**
 * Tells of sockets that are passed between processes by `process.send` or `subprocess.send`.
 *
 * `'internalMessage'` is the event from which Node makes them. A listener for it, unlike one for `'message'`, neither holds the channel open
 * nor takes messages that wait for the program to listen.
 */
export function onPassed({ received, sent }: Hearers): void {
  const listen = (channel: Channel) => {
    // Before Node's own listener, which makes the socket, or closes it.
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
