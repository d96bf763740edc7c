import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { DeadpeerError } from '../../errors.js'
import type { NativeCore } from '../../kernel/binding.js'
import { IdleConnection } from './connection.js'
import { requestOnce } from './http-request.js'
import { BETWEEN_OPENINGS, type ConnectionSource } from './source.js'

export interface Destination {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly http: boolean
}

/** For a handshake, or a response, ms. */
const HANDSHAKE = 10_000

/** What a connection is made of. */
export interface Opened {
  readonly raw: net.Socket
  readonly stream: net.Socket
}

/** Opens connections to one address, a few a second. */
export class Opener implements ConnectionSource {
  readonly side = 'client'
  readonly name: string
  readonly rtts: number[] = []
  readonly #core: NativeCore
  readonly #to: Destination
  readonly #connections = new Set<IdleConnection>()
  #address: string | undefined
  #nextAt = 0
  #notOpened = { count: 0, reason: '' }

  constructor(core: NativeCore, to: Destination) {
    this.#core = core
    this.#to = to
    this.name = `${bracketed(to.host)}:${to.port}`
  }

  get address(): string {
    return this.#address === undefined ? this.name : `${bracketed(this.#address)}:${this.#to.port}`
  }

  get open(): number {
    return this.#connections.size
  }

  get notOpened(): { count: number; reason: string } {
    return this.#notOpened
  }

  /**
   * Opens the first connection. Later ones go to the same address, because another may have another path.
   *
   * @throws {@link DeadpeerError} if no address of the host takes a connection; the code is that of the last error.
   */
  async first(signal: AbortSignal): Promise<Opened> {
    let last: unknown
    for (const address of await this.#addresses()) {
      try {
        const opened = await this.#connect(address, signal)
        this.#address = address
        return opened
      } catch (error) {
        last = error
        if (signal.aborted) break
      }
    }
    throw this.#refused(last)
  }

  async take(_age: number, signal: AbortSignal): Promise<IdleConnection | undefined> {
    try {
      return this.adopt(await this.#connect(this.#address!, signal))
    } catch (error) {
      if (signal.aborted) return undefined
      const { count, reason } = this.#notOpened
      this.#notOpened = { count: count + 1, reason: count === 0 ? wordsOf(error) : reason }
      return undefined
    }
  }

  /** Makes a connection one of the measurement's. */
  adopt({ raw, stream }: Opened): IdleConnection {
    const connection = new IdleConnection(this.#core, raw, stream)
    this.rtts.push(connection.rtt)
    this.#connections.add(connection)
    return connection
  }

  release(connection: IdleConnection, reset = false): void {
    connection.close(reset)
    this.#connections.delete(connection)
  }

  async #addresses(): Promise<string[]> {
    const { host } = this.#to
    if (net.isIP(host) !== 0) return [host]
    try {
      return (await lookup(host, { all: true })).map(({ address }) => address)
    } catch (error) {
      throw this.#refused(error)
    }
  }

  async #connect(address: string, signal: AbortSignal): Promise<Opened> {
    const now = performance.now()
    this.#nextAt = Math.max(now, this.#nextAt + BETWEEN_OPENINGS)
    await delay(this.#nextAt - now, undefined, { signal })
    const raw = net.connect({
      host: address,
      port: this.#to.port,
      noDelay: true,
      allowHalfOpen: true,
      autoSelectFamily: false,
    })
    // Each error also reaches the waits below, and later the connection.
    raw.on('error', () => {})
    try {
      await within(raw, signal, once(raw, 'connect'))
      const stream = this.#to.tls ? await this.#secure(raw, signal) : raw
      if (this.#to.http) await within(stream, signal, requestOnce(stream, this.name))
      return { raw, stream }
    } catch (error) {
      raw.destroy()
      throw error
    }
  }

  /** The certificate is not checked: at most a HEAD request without credentials is sent. */
  async #secure(raw: net.Socket, signal: AbortSignal): Promise<tls.TLSSocket> {
    const { host, http } = this.#to
    const stream = tls.connect({
      socket: raw,
      host,
      ...(net.isIP(host) === 0 && { servername: host }),
      ...(http && { ALPNProtocols: ['http/1.1'] }),
      rejectUnauthorized: false,
      allowHalfOpen: true,
    } as tls.ConnectionOptions)
    await within(stream, signal, once(stream, 'secureConnect'))
    return stream
  }

  #refused(error: unknown): DeadpeerError {
    const { code = 'ERR_MEASURE_FAILED' } = error as NodeJS.ErrnoException
    return new DeadpeerError(code, `Cannot measure ${this.name}: ${wordsOf(error)}.`, {}, { cause: error })
  }
}

/** Waits for something that the socket does, but no longer than a handshake may take, and not after the signal. */
async function within<T>(socket: net.Socket, signal: AbortSignal, wait: Promise<T>): Promise<T> {
  const late = Object.assign(new Error(`no answer within ${HANDSHAKE / 1_000} s`), { code: 'ETIMEDOUT' })
  const timer = setTimeout(() => socket.destroy(late), HANDSHAKE)
  const abort = () => socket.destroy(new Error('aborted'))
  signal.addEventListener('abort', abort)
  try {
    return await wait
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'it resets each connection at once',
  EHOSTUNREACH: 'the host is unreachable',
  ENETUNREACH: 'the network is unreachable',
  EACCES: 'the port is not permitted to this user',
  EADDRINUSE: 'the port is in use',
  ENOTFOUND: 'the name does not exist',
  EAI_AGAIN: 'the name cannot be looked up',
}

/** An error of Node in words, with its code. */
export function wordsOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  const plain = (code !== undefined && words[code]) || message
  return code === undefined || plain.includes(code) ? plain : `${plain} (${code})`
}

function bracketed(host: string): string {
  return net.isIPv6(host) ? `[${host}]` : host
}
