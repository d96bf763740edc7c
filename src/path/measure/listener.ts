import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { DeadpeerError } from '../../errors.js'
import type { NativeCore } from '../../kernel/binding.js'
import type { MeasuredPath } from '../measured-path.js'
import { IdleConnection } from './connection.js'
import { CONTROL, GREETING } from './holder.js'
import { wordsOf } from './opener.js'
import { type ConnectionSource, MOST_CONNECTIONS } from './source.js'

/** A connection that sends CONTROL does so within this time, ms. */
const MAY_BE_CONTROL = 700
/** How long to wait for a connection after the first ones, ms. */
const NO_MORE = 30_000
/** The control connection is never idle for longer, ms. */
const KEPT_ALIVE = 500
/** How long the client may take to receive the result, ms. */
const RESULT_TAKEN = 1_000
/** What a connection needs beside its idle time: probes, a FIN and its retransmissions, s. */
const SPARE = 30

interface Waiter {
  readonly lifetime: number
  readonly resolve: (connection: IdleConnection | undefined) => void
}

/** Accepts connections for a measurement from the listening side. */
export class Listener implements ConnectionSource {
  readonly side = 'server'
  readonly name: string
  readonly rtts: number[] = []
  readonly notOpened = { count: 0, reason: '' }
  shortage: string | undefined
  readonly #core: NativeCore
  readonly #port: number
  readonly #onControlEnd: () => void
  readonly #server = net.createServer({ allowHalfOpen: true, noDelay: true })
  readonly #spare = new Set<IdleConnection>()
  readonly #taken = new Set<IdleConnection>()
  readonly #new = new Set<net.Socket>()
  #waiters: Waiter[] = []
  #control: net.Socket | undefined
  #isTold = false

  /** @param onControlEnd called if the client that opens the connections goes away. */
  constructor(core: NativeCore, port: number, onControlEnd: () => void) {
    this.#core = core
    this.#port = port
    this.#onControlEnd = onControlEnd
    this.name = `port ${port}`
  }

  get open(): number {
    return this.#taken.size + this.#spare.size
  }

  /** @throws {@link DeadpeerError} if the port cannot be listened on. */
  async listen(): Promise<void> {
    this.#server.on('connection', (socket) => void this.#accept(socket))
    this.#server.listen(this.#port)
    try {
      await once(this.#server, 'listening')
    } catch (error) {
      const { code = 'ERR_MEASURE_FAILED' } = error as NodeJS.ErrnoException
      const message = `Cannot listen on ${this.name}: ${wordsOf(error)}.`
      throw new DeadpeerError(code, message, {}, { cause: error })
    }
  }

  async take(age: number, signal: AbortSignal, lifetime = age): Promise<IdleConnection | undefined> {
    const spare = [...this.#spare].filter(({ idle, end }) => !end && idle < age)
    const youngest = spare.sort((a, b) => a.idle - b.idle)[0]
    if (youngest) return this.#hand(youngest)
    this.#askFor(lifetime)
    let waiter: Waiter | undefined
    const arrival = new Promise<IdleConnection | undefined>((resolve) => {
      waiter = { lifetime, resolve }
      this.#waiters.push(waiter)
    })
    const giveUp = () => waiter!.resolve(undefined)
    // The first connection may take as long as the user needs to start the client.
    const timer =
      this.#taken.size + this.rtts.length > 0 ? setTimeout(() => this.#lacks(waiter!), NO_MORE) : undefined
    signal.addEventListener('abort', giveUp)
    try {
      return await arrival
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', giveUp)
      this.#waiters = this.#waiters.filter((each) => each !== waiter)
    }
  }

  release(connection: IdleConnection, reset = false): void {
    connection.close(reset)
    this.#taken.delete(connection)
    this.#spare.delete(connection)
  }

  /** Sends the result to the client that opened the connections. */
  async tellResult(result: MeasuredPath): Promise<void> {
    this.#isTold = true
    if (!this.#control?.writable) return
    this.#control.end(`result ${JSON.stringify(result)}\n`)
    await Promise.race([
      once(this.#control, 'end').catch(() => {}),
      delay(RESULT_TAKEN, undefined, { ref: false }),
    ])
  }

  close(): void {
    this.#isTold = true
    this.#server.close()
    for (const connection of [...this.#taken, ...this.#spare]) this.release(connection)
    for (const socket of this.#new) socket.destroy()
    this.#control?.destroy()
  }

  async #accept(socket: net.Socket): Promise<void> {
    socket.on('error', () => {})
    if (this.open + this.#new.size >= MOST_CONNECTIONS) return void socket.resetAndDestroy()
    this.#new.add(socket)
    let heard = ''
    socket.on('data', (data) => {
      if (heard.length > CONTROL.length) return
      heard += data.toString('latin1')
      if (heard === CONTROL && !this.#control && this.#new.delete(socket)) this.#setControl(socket)
    })
    socket.write(GREETING)
    await delay(MAY_BE_CONTROL, undefined, { ref: false })
    if (!this.#new.delete(socket) || socket.destroyed) return
    if (socket.readableEnded) return void socket.destroy()
    const connection = new IdleConnection(this.#core, socket)
    this.rtts.push(connection.rtt)
    const waiter = this.#waiters.shift()
    if (waiter) waiter.resolve(this.#hand(connection))
    else {
      this.#spare.add(connection)
      connection.onEnd = () => this.release(connection)
    }
  }

  #hand(connection: IdleConnection): IdleConnection {
    this.#spare.delete(connection)
    this.#taken.add(connection)
    return connection
  }

  #setControl(socket: net.Socket): void {
    this.#control = socket
    const keepingAlive = setInterval(() => socket.write('\n'), KEPT_ALIVE)
    const onEnd = () => {
      clearInterval(keepingAlive)
      if (!this.#isTold) this.#onControlEnd()
    }
    socket.on('close', onEnd).on('end', onEnd)
    for (const { lifetime } of this.#waiters) this.#askFor(lifetime)
  }

  #askFor(lifetime: number): void {
    const seconds = Math.ceil(lifetime / 1_000) + SPARE
    if (this.#control?.writable) this.#control.write(`open ${seconds}\n`)
  }

  #lacks(waiter: Waiter): void {
    this.shortage = `No more connections came from the other side within ${NO_MORE / 1_000} s. At the other end, run deadpeer measure HOST:${this.#port}, or open more connections and keep them idle.`
    waiter.resolve(undefined)
  }
}
