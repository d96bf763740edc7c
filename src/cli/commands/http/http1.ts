import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { sinceData, watchClosing } from './closing.js'
import { CutOff, type Exchange, headersOf } from './exchange.js'
import type { Opener } from './opening.js'

/** The form of a request. Node itself sends HTTP/1.1 only. */
export type Wording = '1.1' | '1.0' | '1.0 keep-alive'

/** A pool of one connection, as in an application. The responses decide whether it is kept. */
class Pool extends http.Agent {
  readonly #open: () => Promise<net.Socket>

  /** Keeps the connection longer than the server promises, to measure how long the server really keeps it. */
  override keepSocketAlive(): boolean {
    return true
  }

  constructor(open: () => Promise<net.Socket>) {
    super({ keepAlive: true, maxSockets: 1 })
    this.#open = open
  }

  override createConnection(
    _: object,
    callback?: (error: Error | null, socket: net.Socket) => void,
  ): undefined {
    this.#open().then(
      (socket) => callback?.(null, socket),
      (error: Error) => callback?.(error, undefined as never),
    )
  }
}

export interface Http1Options {
  readonly wording: Wording
  /** Waits between a response and the next request. */
  readonly pause: () => Promise<void>
  /** For each response, ms. */
  readonly timeout: number
  /** The request target: a path, or the whole URL for a proxy. */
  readonly target: string
}

/**
 * Sends the same request twice. `first` is a connection that is already open. Sends one request if the response comes from
 * `deadpeer http --serve`: a proxy in front of that may not answer the second.
 */
export async function exchangeByHttp1(
  url: URL,
  opener: Opener,
  first: net.Socket,
  { wording, pause, timeout, target }: Http1Options,
): Promise<Exchange[]> {
  // The first call is slow, and must not delay the measurement after the response.
  sinceData(first)
  let ready: net.Socket | undefined = first
  const ids = new WeakMap<object, number>()
  const pool = new Pool(async () => {
    const socket = ready ?? (await opener.open())
    ready = undefined
    ids.set(socket, opener.opened.length)
    if (wording !== '1.1') reword(socket, wording)
    return socket
  })
  try {
    const ask = () => exchange(url, target, pool, ids, timeout)
    const before = await ask()
    if (before.exchange.headers.deadpeerOrigin !== undefined) return [before.exchange]
    const closing = before.socket ? watchClosing(before.socket, before.socket, ['end', 'close']) : () => ({})
    await pause()
    const after = await ask()
    return [{ ...before.exchange, ...(!after.exchange.reused && closing()) }, after.exchange]
  } finally {
    pool.destroy()
  }
}

interface Exchanged {
  readonly exchange: Exchange
  /** `undefined` if the response ends the connection. */
  readonly socket: net.Socket | undefined
}

async function exchange(
  url: URL,
  target: string,
  pool: http.Agent,
  ids: WeakMap<object, number>,
  timeout: number,
): Promise<Exchanged> {
  const start = performance.now()
  const request = http.request({
    agent: pool,
    host: url.hostname,
    path: target,
    headers: { Host: url.host, 'User-Agent': 'deadpeer', Accept: '*/*' },
    setHost: false,
  })
  let sent = start
  request.once('socket', () => {
    sent = performance.now()
  })
  let isTooLate = false
  const tooLate = new Error(`no response within ${timeout} ms`)
  const timer = setTimeout(() => {
    isTooLate = true
    request.destroy(tooLate)
  }, timeout)
  let hasBegun = false
  try {
    request.end()
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    hasBegun = true
    const { socket, httpVersion, statusCode, rawHeaders } = response
    const isKept = request.shouldKeepAlive
    response.resume()
    await once(response, 'end')
    const took = performance.now() - sent
    // Node returns the socket to the pool, or closes it, in the next turn.
    await turn()
    return {
      exchange: {
        status: statusCode!,
        httpVersion,
        connection: ids.get(socket)!,
        reused: request.reusedSocket,
        took,
        headers: headersOf(rawHeaders),
      },
      socket: isKept ? socket : undefined,
    }
  } catch (error) {
    // Node reports every response that broke off as aborted, whatever the cause.
    if (isTooLate) throw tooLate
    const { code, message } = error as NodeJS.ErrnoException
    if (hasBegun) throw new CutOff(code ?? message, { cause: error })
    if (!request.reusedSocket) throw error
    // One retry, as any client must do: the server was closing the connection when the request was sent.
    const again = await exchange(url, target, pool, ids, timeout)
    return { ...again, exchange: { ...again.exchange, repeatedAfter: code ?? message } }
  } finally {
    clearTimeout(timer)
  }
}

/** Rewrites the head of each request as HTTP/1.0, where a client must ask for a kept connection. */
function reword(socket: net.Socket, wording: Wording): void {
  const write = socket.write as (chunk: unknown, ...rest: unknown[]) => boolean
  socket.write = ((chunk: unknown, ...rest: unknown[]) => {
    if (typeof chunk !== 'string' || !chunk.startsWith('GET ')) return write.call(socket, chunk, ...rest)
    const asked = wording === '1.0 keep-alive' ? 'Connection: keep-alive\r\n' : ''
    const head = chunk.replace(' HTTP/1.1\r\n', ' HTTP/1.0\r\n').replace(/^Connection: .*\r\n/m, asked)
    return write.call(socket, head, ...rest)
  }) as typeof socket.write
}
