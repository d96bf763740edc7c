import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { onTestFinished } from 'vitest'
import WebSocket, { type WebSocketServer } from 'ws'
import { listen } from './connections.js'

// What the rows of the tables are made of. All is closed when the test is over.

export function closedAfterwards<T>(it: T, close: (it: T) => unknown): T {
  onTestFinished(async () => {
    await close(it)
  })
  return it
}

const host = '127.0.0.1'

/** An HTTP server, and one exchange under way: the server has not answered yet. */
export async function exchange() {
  const server = http.createServer()
  closedAfterwards(server, () => server.closeAllConnections() ?? server.close())
  const port = await listen(server)
  const request = http.get({ port, host, agent: false })
  request.on('error', () => {})
  const [incoming, response] = (await once(server, 'request')) as [http.IncomingMessage, http.ServerResponse]
  return { request, incoming, response, port }
}

/** An HTTP/2 session and stream, both ends. */
export async function http2Exchange() {
  const server = http2.createServer()
  const sessions: http2.Http2Session[] = []
  server.on('session', (session) => sessions.push(session))
  const session = http2.connect(`http://${host}:${await listen(server)}`)
  closedAfterwards(server, () => {
    for (const each of [session, ...sessions]) each.destroy()
    server.close()
  })
  const stream = session.request({ ':path': '/' })
  stream.on('error', () => {})
  const [incoming, response] = (await once(server, 'request')) as [
    http2.Http2ServerRequest,
    http2.Http2ServerResponse,
  ]
  return { session, stream, incoming, response }
}

/** A port that accepts connections, and answers as an HTTP server does. */
export async function httpPort(handle?: http.RequestListener): Promise<number> {
  const server = http.createServer(handle ?? ((_, response) => response.end()))
  closedAfterwards(server, () => server.closeAllConnections() ?? server.close())
  return listen(server)
}

export async function http2Port(): Promise<number> {
  const server = http2.createServer((_, response) => void response.end())
  closedAfterwards(server, () => server.close())
  return listen(server)
}

export function portOf(server: { address(): unknown }): number {
  return (server.address() as net.AddressInfo).port
}

/** A client of a WebSocket server, once it is open. */
export async function openWebSocket(port: number): Promise<WebSocket> {
  const socket = closedAfterwards(new WebSocket(`ws://${host}:${port}`), (it) => it.terminate())
  socket.on('error', () => {})
  await once(socket, 'open')
  return socket
}

export async function listening(server: WebSocketServer): Promise<number> {
  closedAfterwards(server, () => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  if (server.address() === null) await once(server, 'listening')
  return portOf(server)
}

export async function connectTo(port: number, to = host): Promise<net.Socket> {
  const socket = closedAfterwards(net.connect(port, to), (it) => it.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}
