import diagnostics from 'node:diagnostics_channel'
import type { EventEmitter } from 'node:events'
import net from 'node:net'

/** What Node sends along with a handle. `key` names the server that accepted the connection, where a server did. */
interface Sent {
  readonly cmd?: string
  readonly type?: string
  readonly key?: string
}

/**
 * Calls back with each socket that another process sends here by `process.send` or `subprocess.send`, before the program gets it.
 *
 * `'internalMessage'` is the event from which Node makes that socket. A listener for it, unlike one for `'message'`, neither holds the channel
 * open nor takes messages that wait for the program to listen.
 */
export function onReceived(hear: (socket: net.Socket, isAccepted: boolean) => void): void {
  const onInternal = ({ cmd, type, key }: Sent, handle?: { readonly owner?: unknown }) => {
    if (cmd !== 'NODE_HANDLE' || type !== 'net.Socket' || !handle) return
    // Node's own listener makes the socket next, and passes it to the program in the tick after ours.
    process.nextTick(() => {
      const { owner } = handle
      if (owner instanceof net.Socket) hear(owner, key !== undefined)
    })
  }
  const listen = (channel: EventEmitter) => channel.prependListener('internalMessage', onInternal)
  if (process.channel) listen(process)
  diagnostics.subscribe('child_process', (message) => {
    listen((message as { process: EventEmitter }).process)
  })
}
