import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { SocketEnd } from '../../../host/index.js'
import { DeadpeerError } from '../../../index.js'
import { endWords } from '../../lib/format-socket.js'
import { firstLine } from '../../lib/terminal.js'
import { Misuse } from '../../lib/usage.js'
import type { Scrape } from './registry.js'

/** The limit of connections to the endpoint. Node closes further connections before it reads a request. */
const MOST_CLIENTS = 64

const PLAIN = 'text/plain; charset=utf-8'

/**
 * Serves scrapes at `/metrics` until the signal is aborted, and then closes all connections.
 *
 * @returns the URL.
 * @throws {@link Misuse} if it cannot listen there.
 */
export async function serve(
  where: SocketEnd,
  scrape: () => Promise<Scrape>,
  signal: AbortSignal,
): Promise<string> {
  const server = http.createServer((request, response) => void respond(request, response, scrape, signal))
  server.maxConnections = MOST_CLIENTS
  server.listen(where.port, where.address)
  try {
    await once(server, 'listening')
  } catch (error) {
    throw new Misuse(refusalWords(error as NodeJS.ErrnoException, where))
  }
  const { address, port } = server.address() as AddressInfo
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  if (signal.aborted) close()
  signal.addEventListener('abort', close)
  return `http://${endWords({ address, port })}/metrics`
}

function refusalWords({ code = '', message }: NodeJS.ErrnoException, where: SocketEnd): string {
  const at = endWords(where)
  switch (code) {
    case 'EADDRINUSE':
      return `cannot listen on ${at}: another program uses it. Choose another port with --listen`
    case 'EADDRNOTAVAIL':
      return `cannot listen on ${at}: this host does not have the address (${code})`
    case 'EACCES':
      return `cannot listen on ${at}: permission denied (${code}). Ports below 1024 require CAP_NET_BIND_SERVICE`
    default:
      return `cannot listen on ${at}: ${message}`
  }
}

async function respond(
  { method, url = '' }: http.IncomingMessage,
  response: http.ServerResponse,
  scrape: () => Promise<Scrape>,
  signal: AbortSignal,
): Promise<void> {
  const [path] = url.split('?')
  if (path !== '/metrics') return end(response, path === '/' ? 200 : 404, 'deadpeer: see /metrics\n')
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD')
    return end(response, 405, 'deadpeer: /metrics accepts GET and HEAD\n')
  }
  try {
    const { text, contentType } = await scrape()
    end(response, 200, text, contentType)
  } catch (error) {
    if (signal.aborted) return
    if (!(error instanceof DeadpeerError)) throw error
    end(response, 503, `deadpeer: ${firstLine(error.message)}\n`)
  }
}

function end(response: http.ServerResponse, status: number, text: string, type = PLAIN): void {
  response.statusCode = status
  response.setHeader('Content-Type', type)
  response.end(text)
}
