import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { write } from '../../lib/terminal.js'
import { Misuse } from '../../lib/usage.js'
import type { Headers } from './exchange.js'

/** How long the origin keeps an idle connection, and announces it, seconds. A proxy that sends this number has passed the header on. */
export const ORIGIN_TIMEOUT = 47

/** The header that `Connection` names, in requests of the command and in responses of the origin. A proxy must remove it: RFC 9110, 7.6.1. */
export const NOMINATED = 'Deadpeer-Hop'

/** The `Connection` header of the first request, and of the responses of the origin. */
export const CONNECTION = `keep-alive, ${NOMINATED}`

/** The headers that the origin reports. It reports no others: they may be secret. */
const reported = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'upgrade',
  'via',
  NOMINATED.toLowerCase(),
])

/** What reached the origin. It is the body of the response. */
export interface Reached {
  /** The number of the connection, from 1. */
  readonly connection: number
  /** The number of the request on that connection, from 1. */
  readonly request: number
  readonly httpVersion: string
  /** The other end of the connection. */
  readonly from: { readonly address: string; readonly port: number }
  /** By name in lower case. Several lines are joined with commas. */
  readonly headers: Readonly<Record<string, string>>
}

/** `undefined` if the response does not come from `deadpeer http --serve`. */
export function parseReached(headers: Headers, body: string): Reached | undefined {
  if (headers.deadpeerOrigin === undefined) return undefined
  try {
    return JSON.parse(body) as Reached
  } catch {
    return undefined
  }
}

/** Serves an origin that reports the hop-by-hop headers that reached it, until it is interrupted. */
export async function serveOrigin(port: number, isJson: boolean, signal: AbortSignal): Promise<number> {
  const server = createOrigin((reached) => write(isJson ? JSON.stringify(reached) : inOneLine(reached)))
  server.listen(port)
  try {
    await once(server, 'listening')
  } catch (error) {
    throw new Misuse(`cannot listen on port ${port}: ${(error as Error).message}`)
  }
  const { port: actual } = server.address() as net.AddressInfo
  if (isJson) write(JSON.stringify({ listening: actual }))
  else
    write(
      `listening on port ${actual}; run deadpeer http http://HOST:${actual}/, or the URL of the proxy in front of it`,
    )
  if (!signal.aborted) await once(signal, 'abort')
  server.close()
  server.closeAllConnections()
  return 0
}

function createOrigin(report: (reached: Reached) => void): http.Server {
  const numbers = new WeakMap<net.Socket, { readonly connection: number; request: number }>()
  let connections = 0
  const server = http.createServer({ keepAliveTimeout: ORIGIN_TIMEOUT * 1_000 }, (request, response) => {
    const { socket, httpVersion, rawHeaders } = request
    const number = numbers.get(socket) ?? { connection: ++connections, request: 0 }
    number.request++
    numbers.set(socket, number)
    const reached: Reached = {
      ...number,
      httpVersion,
      from: { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 },
      headers: reportedHeaders(rawHeaders),
    }
    report(reached)
    const body = `${JSON.stringify(reached)}\n`
    response.setHeader('Deadpeer-Origin', '1')
    response.setHeader('Content-Type', 'application/json')
    response.setHeader('Cache-Control', 'no-store')
    response.setHeader('Content-Length', Buffer.byteLength(body))
    if (response.shouldKeepAlive) {
      response.setHeader('Connection', CONNECTION)
      response.setHeader('Keep-Alive', `timeout=${ORIGIN_TIMEOUT}`)
      response.setHeader(NOMINATED, '1')
    }
    request.resume()
    response.end(body)
  })
  return server
}

function reportedHeaders(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    if (!reported.has(name)) continue
    headers[name] = headers[name] === undefined ? raw[i + 1]! : `${headers[name]}, ${raw[i + 1]}`
  }
  return headers
}

function inOneLine({ connection, request, httpVersion, from, headers }: Reached): string {
  const host = net.isIPv6(from.address) ? `[${from.address}]` : from.address
  const list = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return [
    `${host}:${from.port}`,
    `connection ${connection}`,
    `request ${request}`,
    `HTTP/${httpVersion}`,
    ...list,
  ].join('  ')
}
