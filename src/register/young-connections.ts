import type net from 'node:net'

/** The longest time that a new connection is not watched, ms. */
const YOUNG = 100

/**
 * New connections. They are watched at most 100 ms after they were opened or accepted. Watching a connection costs more than tuning it,
 * and many connections close sooner. No death is missed: a connection that ends before it is watched is reported when it is added. If Node has
 * destroyed the socket by then, the program already has its error.
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
