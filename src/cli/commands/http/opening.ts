import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'

/** An opened connection. Times in ms. */
export interface Opened {
  /** Counted from 1. */
  readonly id: number
  readonly remote: string
  readonly localPort: number
  /** From the name lookup to the end of the TCP handshake. */
  readonly connect: number
  readonly tls?: { readonly handshake: number; readonly protocol: string; readonly alpn: string | null }
}

export interface OpeningOptions {
  /** The protocols to offer by ALPN. */
  readonly alpn: readonly string[]
  /** Whether to accept any certificate. */
  readonly insecure: boolean
  /** For each handshake, ms. */
  readonly timeout: number
}

/** Opens connections to one origin and records them. */
export class Opener {
  readonly opened: Opened[] = []
  readonly #url: URL
  readonly #options: OpeningOptions

  constructor(url: URL, options: OpeningOptions) {
    this.#url = url
    this.#options = options
  }

  async open(): Promise<net.Socket> {
    const { hostname, protocol } = this.#url
    const secure = protocol === 'https:'
    const host = hostname.replace(/^\[|\]$/g, '')
    const port = Number(this.#url.port) || (secure ? 443 : 80)
    const start = performance.now()
    const raw = net.connect({ host, port, noDelay: true })
    await this.#within(raw, 'connect')
    const connect = performance.now() - start
    const socket = secure ? await this.#secure(raw, host) : raw
    this.opened.push({
      id: this.opened.length + 1,
      remote: net.isIPv6(raw.remoteAddress!)
        ? `[${raw.remoteAddress}]:${port}`
        : `${raw.remoteAddress}:${port}`,
      localPort: raw.localPort!,
      connect,
      ...(socket instanceof tls.TLSSocket && {
        tls: {
          handshake: performance.now() - start - connect,
          protocol: socket.getProtocol()!,
          alpn: socket.alpnProtocol || null,
        },
      }),
    })
    return socket
  }

  async #secure(raw: net.Socket, host: string): Promise<tls.TLSSocket> {
    const socket = tls.connect({
      socket: raw,
      ...(net.isIP(host) === 0 && { servername: host }),
      host,
      ALPNProtocols: [...this.#options.alpn],
      rejectUnauthorized: !this.#options.insecure,
    })
    await this.#within(socket, 'secureConnect')
    return socket
  }

  async #within(socket: net.Socket, event: string): Promise<void> {
    const { timeout } = this.#options
    const timer = setTimeout(() => socket.destroy(new Error(`no response within ${timeout} ms`)), timeout)
    try {
      await once(socket, event)
    } finally {
      clearTimeout(timer)
    }
  }
}
