import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { CutOff } from './exchange.js'

export type Version = '1.0' | '1.1'

export interface Asked {
  /** The request target: a path, or the whole URL for a proxy. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  /** Default: 1.1. */
  readonly version?: Version
  /** For the response, ms. */
  readonly timeout: number
}

export interface Answer {
  readonly status: number
  readonly httpVersion: string
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[]
  readonly body: string
  /** Whether the response lets a client send another request on the connection. */
  readonly mayReuse: boolean
}

/** No response came within the time for it, and the connection stayed open. */
export class NoResponse extends Error {}

/** The longest body that is kept, characters. */
const LONGEST_BODY = 65_536

/** Passes one socket to Node's HTTP client, and never opens another. */
class SingleSocketAgent extends http.Agent {
  #socket: net.Socket | undefined

  constructor(socket: net.Socket) {
    super({ keepAlive: true, maxSockets: 1 })
    this.#socket = socket
  }

  /** The announced time does not close the connection: the caller measures how long it stays open. */
  override keepSocketAlive(): boolean {
    return true
  }

  override createConnection(
    _: object,
    callback?: (error: Error | null, socket: net.Socket) => void,
  ): net.Socket | undefined {
    const socket = this.#socket
    this.#socket = undefined
    if (socket) return socket
    callback?.(new Error('the connection is closed'), undefined as never)
    return undefined
  }
}

/** Sends requests on one connection, one after the other, and never repeats one. */
export class SingleConnection {
  readonly socket: net.Socket
  readonly #agent: http.Agent

  constructor(socket: net.Socket) {
    this.socket = socket
    this.#agent = new SingleSocketAgent(socket)
  }

  /** @throws {@link NoResponse}; {@link CutOff} for a response that broke off; the error of the connection. */
  async ask({ target, headers, version = '1.1', timeout }: Asked): Promise<Answer> {
    const { socket } = this
    const undo = version === '1.0' ? sendAsHttp10(socket) : () => {}
    const request = http.request({ agent: this.#agent, path: target, headers, setHost: false })
    const tooLate = new NoResponse(`no response within ${timeout} ms`)
    let isTooLate = false
    const timer = setTimeout(() => {
      isTooLate = true
      request.destroy(tooLate)
    }, timeout)
    let hasBegun = false
    try {
      request.end()
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      hasBegun = true
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        if (body.length < LONGEST_BODY) body += chunk
      })
      await once(response, 'end')
      const mayReuse = request.shouldKeepAlive
      // Node returns the socket to the agent, or closes it, in the next turn.
      await turn()
      return {
        status: response.statusCode!,
        httpVersion: response.httpVersion,
        rawHeaders: response.rawHeaders,
        body,
        mayReuse,
      }
    } catch (error) {
      if (isTooLate) throw tooLate
      if (hasBegun) throw new CutOff((error as Error).message, { cause: error })
      throw error
    } finally {
      clearTimeout(timer)
      undo()
    }
  }

  close(): void {
    this.#agent.destroy()
    this.socket.destroy()
  }
}

/** Node itself sends HTTP/1.1 only. Rewrites the request line until the returned function is called. */
function sendAsHttp10(socket: net.Socket): () => void {
  const { write } = socket
  socket.write = ((chunk: unknown, ...rest: unknown[]) => {
    const text =
      typeof chunk === 'string' ? chunk.replace(/^(GET \S+) HTTP\/1\.1\r\n/, '$1 HTTP/1.0\r\n') : chunk
    return Reflect.apply(write, socket, [text, ...rest])
  }) as typeof socket.write
  return () => {
    socket.write = write
  }
}
