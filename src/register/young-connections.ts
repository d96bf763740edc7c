import type net from 'node:net'

/** How long a connection is left unwatched, ms. */
const YOUNG = 100

/**
 * Connections that were opened or accepted less than 100 ms ago, and are watched once they are older. Watching a connection costs more than
 * tuning it, and many are closed by then. Nothing is missed: a socket that has died before it is watched is reported when it is added. One that
 * Node has destroyed by then has told the program.
 */
export class YoungConnections {
  readonly #sockets = new Set<net.Socket>()
  readonly #watch: (socket: net.Socket) => void
  #timer: NodeJS.Timeout | undefined

  /** @param watch must not throw. */
  constructor(watch: (socket: net.Socket) => void) {
    this.#watch = watch
  }

  add(socket: net.Socket): void {
    this.#sockets.add(socket)
    this.#timer ??= setTimeout(this.#watchAll, YOUNG).unref()
  }

  delete(socket: net.Socket): void {
    this.#sockets.delete(socket)
  }

  readonly #watchAll = () => {
    this.#timer = undefined
    const sockets = [...this.#sockets]
    this.#sockets.clear()
    for (const socket of sockets) if (!socket.destroyed) this.#watch(socket)
  }
}
