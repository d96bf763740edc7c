import { once } from 'node:events'
import http2 from 'node:http2'
import type net from 'node:net'
import { sinceData, watchClosing } from './closing.js'
import { CutOff, type Exchange, headersOf } from './exchange.js'
import type { Opener } from './opening.js'

export interface Http2Options {
  readonly pause: () => Promise<void>
  /** For each response, ms. */
  readonly timeout: number
}

/** Sends the same request twice over one session, or over a second one if the first was closed in the meantime. */
export async function exchangeByHttp2(
  url: URL,
  opener: Opener,
  first: net.Socket,
  { pause, timeout }: Http2Options,
): Promise<Exchange[]> {
  // The first call is slow, and must not delay the measurement after the response.
  sinceData(first)
  let session = connect(url, first)
  try {
    const before = await exchange(url, session, timeout)
    const kept = { connection: opener.opened.length, reused: false }
    const closing = watchClosing(first, session, ['goaway', 'close'])
    await pause()
    const ending = closing()
    let reused = !session.closed && !session.destroyed
    let repeatedAfter: string | undefined
    let after: Answer | undefined
    try {
      if (reused) after = await exchange(url, session, timeout)
    } catch (error) {
      if (error instanceof CutOff || !(session.closed || session.destroyed)) throw error
      // One retry, as any client must do: the server was closing the session when the request was sent.
      repeatedAfter = (error as NodeJS.ErrnoException).code ?? (error as Error).message
      reused = false
    }
    if (!after) {
      session.destroy()
      session = connect(url, await opener.open())
      after = await exchange(url, session, timeout)
    }
    return [
      { ...before, ...kept, ...(!reused && ending) },
      {
        ...after,
        connection: opener.opened.length,
        reused,
        ...(repeatedAfter !== undefined && { repeatedAfter }),
      },
    ]
  } finally {
    session.destroy()
  }
}

function connect(url: URL, socket: net.Socket): http2.ClientHttp2Session {
  const session = http2.connect(url.origin, { createConnection: () => socket })
  session.on('error', () => {})
  return session
}

type Answer = Omit<Exchange, 'connection' | 'reused'>

async function exchange(url: URL, session: http2.ClientHttp2Session, timeout: number): Promise<Answer> {
  const start = performance.now()
  const stream = session.request({
    ':path': `${url.pathname}${url.search}`,
    'user-agent': 'deadpeer',
    accept: '*/*',
  })
  const tooLate = new Error(`no response within ${timeout} ms`)
  stream.setTimeout(timeout, () => stream.destroy(tooLate))
  const [headers, , raw] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders, number, string[]?]
  stream.resume()
  try {
    await once(stream, 'end')
  } catch (error) {
    if (error === tooLate) throw error
    const { code, message } = error as NodeJS.ErrnoException
    throw new CutOff(code ?? message, { cause: error })
  }
  return {
    status: Number(headers[':status']),
    httpVersion: '2',
    took: performance.now() - start,
    headers: headersOf(raw ?? Object.entries(headers).flatMap(([name, value]) => [name, String(value)])),
  }
}
