import { EventEmitter, once } from 'node:events'
import net from 'node:net'

/**
 * A way to a server on which a close is under way for half a second, as over a long distance; all else arrives at once.
 * `'answerer-closed'`: the side that answers has closed, and the side that sends does not know yet. `'sender-closed'`: the
 * other way round.
 */
export class LatePath extends EventEmitter implements AsyncDisposable {
  readonly #server: net.Server
  readonly #sockets = new Set<net.Socket>()

  private constructor(port: number) {
    super()
    this.#server = net.createServer({ allowHalfOpen: true }, (near) => this.#carry(near, port))
  }

  static async to(port: number): Promise<LatePath> {
    const path = new LatePath(port)
    path.#server.listen(0, '127.0.0.1')
    await once(path.#server, 'listening')
    return path
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #carry(near: net.Socket, port: number): void {
    const far = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.once('close', () => this.#sockets.delete(socket))
    }
    near.on('data', (data) => far.write(data)).on('error', () => far.destroy())
    // What is sent to an end that has closed is answered with a reset.
    far.on('data', (data) => near.write(data)).on('error', () => near.resetAndDestroy())
    near.once('end', () => {
      this.emit('sender-closed')
      far.end()
    })
    far.once('end', () => {
      this.emit('answerer-closed')
      setTimeout(() => near.end(), 500)
    })
  }
}
