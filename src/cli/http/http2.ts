import { once } from 'node:events'
import http2 from 'node:http2'
import type net from 'node:net'
import { type Exchange, headersOf } from './exchange.js'
import type { Opener } from './opening.js'

export interface Http2Options {
  readonly pause: () => Promise<void>
  /** ms for each answer. */
  readonly timeout: number
}

/** Sends the same request twice over one session, or over another where the first was closed meanwhile. */
export async function exchangeByHttp2(
  url: URL,
  opener: Opener,
  first: net.Socket,
  { pause, timeout }: Http2Options,
): Promise<Exchange[]> {
  let session = http2.connect(url.origin, { createConnection: () => first })
  session.on('error', () => {})
  try {
    const before = await exchange(url, session, timeout)
    const kept = { connection: opener.opened.length, reused: false }
    await pause()
    const reused = !session.closed && !session.destroyed
    if (!reused) {
      const socket = await opener.open()
      session = http2.connect(url.origin, { createConnection: () => socket })
      session.on('error', () => {})
    }
    const after = await exchange(url, session, timeout)
    return [
      { ...before, ...kept },
      { ...after, connection: opener.opened.length, reused },
    ]
  } finally {
    session.destroy()
  }
}

async function exchange(
  url: URL,
  session: http2.ClientHttp2Session,
  timeout: number,
): Promise<Omit<Exchange, 'connection' | 'reused'>> {
  const start = performance.now()
  const stream = session.request({
    ':path': `${url.pathname}${url.search}`,
    'user-agent': 'deadpeer',
    accept: '*/*',
  })
  stream.setTimeout(timeout, () => stream.destroy(new Error(`no answer within ${timeout} ms`)))
  const [headers, , raw] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders, number, string[]?]
  stream.resume()
  await once(stream, 'end')
  return {
    status: Number(headers[':status']),
    httpVersion: '2',
    took: performance.now() - start,
    headers: headersOf(raw ?? Object.entries(headers).flatMap(([name, value]) => [name, String(value)])),
  }
}
