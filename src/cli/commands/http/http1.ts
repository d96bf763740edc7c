import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { sinceData, watchClosing } from './closing.js'
import { CutOff, type Exchange, headersOf } from './exchange.js'
import type { Opener } from './opening.js'

/** How a request is written: Node itself writes HTTP/1.1 only. */
export type Wording = '1.1' | '1.0' | '1.0 keep-alive'

/** One pool of one connection, as an application would have it; whether that is kept is for the answers to say. */
class Pool extends http.Agent {
  readonly #open: () => Promise<net.Socket>

  /** Also for longer than the server says: how long it really keeps it is what is asked here. */
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
  /** ms between one answer and the next request. */
  readonly pause: () => Promise<void>
  /** ms for each answer. */
  readonly timeout: number
}

/** Sends the same request so many times. `first` is a connection that is open already. */
export async function exchangeByHttp1(
  url: URL,
  opener: Opener,
  first: net.Socket,
  { wording, pause, timeout }: Http1Options,
): Promise<Exchange[]> {
  // Loads what it takes, so that no time is lost once the answer is there.
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
    const before = await exchange(url, pool, ids, timeout)
    const closing = before.socket ? watchClosing(before.socket, before.socket, ['end', 'close']) : () => ({})
    await pause()
    const after = await exchange(url, pool, ids, timeout)
    return [{ ...before.exchange, ...(!after.exchange.reused && closing()) }, after.exchange]
  } finally {
    pool.destroy()
  }
}

interface Exchanged {
  readonly exchange: Exchange
  /** Where the answer lets it be used again. */
  readonly socket: net.Socket | undefined
}

async function exchange(
  url: URL,
  pool: http.Agent,
  ids: WeakMap<object, number>,
  timeout: number,
): Promise<Exchanged> {
  const start = performance.now()
  const request = http.request({
    agent: pool,
    host: url.hostname,
    path: `${url.pathname}${url.search}`,
    headers: { Host: url.host, 'User-Agent': 'deadpeer', Accept: '*/*' },
    setHost: false,
  })
  let sent = start
  request.once('socket', () => {
    sent = performance.now()
  })
  let isTooLate = false
  const tooLate = new Error(`no answer within ${timeout} ms`)
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
    // It goes back to the pool, or is closed, in a turn of its own.
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
    // Of an answer that has begun Node says that it was aborted.
    if (isTooLate) throw tooLate
    const { code, message } = error as NodeJS.ErrnoException
    if (hasBegun) throw new CutOff(code ?? message, { cause: error })
    if (!request.reusedSocket) throw error
    // Once, as any client must be able to: the connection was being closed as the request left.
    const again = await exchange(url, pool, ids, timeout)
    return { ...again, exchange: { ...again.exchange, repeatedAfter: code ?? message } }
  } finally {
    clearTimeout(timer)
  }
}

/** Writes the head of each request as HTTP/1.0 has it. There keeping a connection has to be asked for. */
function reword(socket: net.Socket, wording: Wording): void {
  const write = socket.write as (chunk: unknown, ...rest: unknown[]) => boolean
  socket.write = ((chunk: unknown, ...rest: unknown[]) => {
    if (typeof chunk !== 'string' || !chunk.startsWith('GET ')) return write.call(socket, chunk, ...rest)
    const asked = wording === '1.0 keep-alive' ? 'Connection: keep-alive\r\n' : ''
    const head = chunk.replace(' HTTP/1.1\r\n', ' HTTP/1.0\r\n').replace(/^Connection: .*\r\n/m, asked)
    return write.call(socket, head, ...rest)
  }) as typeof socket.write
}
