import dns from 'node:dns'
import { type EventEmitter, once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import tls from 'node:tls'
import { type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { Server } from 'socket.io'
import { io, type ManagerOptions } from 'socket.io-client'
import { expect, vi } from 'vitest'
import WebSocket, { createWebSocketStream, WebSocketServer } from 'ws'
import { borrowSocket } from '../../src/host/index.js'
import type { ServerTarget, Target } from '../../src/index.js'
import { certificate } from './certificate.js'
import { connectPair, listen } from './connections.js'
import { descriptorOf } from './descriptors.js'
import {
  closedAfterwards,
  connectTo,
  exchange,
  http2Exchange,
  http2Port,
  httpPort,
  listening,
  openWebSocket,
  portOf,
} from './target-setup.js'
import { until } from './until.js'

// Rows of docs/targets.md, by their first cell.

export interface Row {
  readonly what: string
  /** In an array where it has a `then`, which `await` would call. */
  readonly make: () => Promise<Target | readonly [Target]>
  /** Not taken by watch. */
  readonly isUnwatchable?: boolean
}

const host = '127.0.0.1'

async function webSockets() {
  const server = new WebSocketServer({ port: 0, host })
  const accepted = once(server, 'connection')
  const client = await openWebSocket(await listening(server))
  const [peer] = (await accepted) as [WebSocket]
  return { client, peer }
}

export async function socketIo(...transports: ('polling' | 'websocket')[]) {
  const server = closedAfterwards(new Server({ transports: ['polling', 'websocket'] }), (it) => it.close())
  const web = http.createServer()
  server.attach(web)
  const port = await listen(web)
  const accepted = once(server, 'connection')
  const options: Partial<ManagerOptions> = { transports, reconnectionDelay: 10, forceNew: true }
  const client = closedAfterwards(io(`http://${host}:${port}`, options), (it) => it.close())
  const [[peer]] = await Promise.all([accepted, once(client as never, 'connect')])
  return { client, peer, server, web, port }
}

export async function fastifyExchange() {
  const app = closedAfterwards(fastify({ forceCloseConnections: true }), (it) => it.close())
  const got = new Promise<{ request: FastifyRequest; reply: FastifyReply }>((resolve) => {
    app.get('/', (request, reply) => resolve({ request, reply }))
  })
  await app.listen({ port: 0, host })
  http.get({ port: portOf(app.server), host, agent: false }).on('error', () => {})
  return got
}

export const connectionRows: Row[] = [
  { what: '`net.Socket`', make: async () => (await connectPair()).socket },
  {
    what: '`tls.TLSSocket`',
    make: async () => {
      const server = closedAfterwards(tls.createServer(certificate()), (it) => it.close())
      const port = await listen(server)
      const socket = closedAfterwards(tls.connect({ port, host, rejectUnauthorized: false }), (it) =>
        it.destroy(),
      )
      await once(socket, 'secureConnect')
      return socket
    },
  },
  { what: '`http.ClientRequest`', make: async () => (await exchange()).request },
  { what: '`http.IncomingMessage`', make: async () => (await exchange()).incoming },
  { what: '`http.ServerResponse`', make: async () => (await exchange()).response },
  { what: 'HTTP/2 session', make: async () => (await http2Exchange()).session },
  { what: 'HTTP/2 stream', make: async () => (await http2Exchange()).stream },
  { what: '`Http2ServerRequest`', make: async () => (await http2Exchange()).incoming },
  { what: '`Http2ServerResponse`', make: async () => (await http2Exchange()).response },
  { what: 'fastify request', make: async () => (await fastifyExchange()).request },
  { what: 'fastify reply', make: async () => [(await fastifyExchange()).reply] },
  { what: 'WebSocket of `ws`, client', make: async () => (await webSockets()).client },
  { what: 'WebSocket of `ws`, server', make: async () => (await webSockets()).peer },
  {
    what: 'stream of `createWebSocketStream`',
    make: async () => createWebSocketStream((await webSockets()).client).on('error', () => {}),
  },
  {
    what: 'socket.io Socket, server, long polling',
    make: async () => {
      const { peer } = await socketIo('polling')
      const polling = peer.conn.transport as unknown as { readonly req: object | null }
      await until(() => polling.req !== null)
      return peer
    },
  },
  { what: 'socket.io Socket, server, WebSocket', make: async () => (await socketIo('websocket')).peer },
  { what: 'socket.io Socket, client, WebSocket', make: async () => (await socketIo('websocket')).client },
  { what: 'object with a `socket`', make: async () => ({ socket: (await connectPair()).socket }) },
  {
    what: 'file descriptor',
    make: async () => descriptorOf((await connectPair()).socket),
    isUnwatchable: true,
  },
  {
    what: 'borrowed socket',
    make: async () => borrowSocket(process.pid, descriptorOf((await connectPair()).socket)),
    isUnwatchable: true,
  },
]

/** The target, and what lets it connect where it waits for that, and tells when it is connected. */
export interface Connecting {
  readonly target: Target
  readonly connected: () => Promise<unknown>
}

/** For an event that may be emitted before the test asks for it. */
function told(emitter: EventEmitter, event: string): () => Promise<unknown> {
  const emitted = new Promise((resolve) => emitter.once(event, resolve))
  return () => emitted
}

export interface ConnectingRow {
  readonly what: string
  readonly make: () => Promise<Connecting>
}

async function request(): Promise<http.ClientRequest> {
  const port = await httpPort(() => {})
  return closedAfterwards(http.get({ port, host, agent: false }), (it) => it.destroy()).on('error', () => {})
}

export const connectingRows: ConnectingRow[] = [
  {
    what: '`net.Socket` that is connecting',
    make: async () => {
      const socket = closedAfterwards(net.connect(await httpPort(), host), (it) => it.destroy())
      return { target: socket, connected: told(socket, 'connect') }
    },
  },
  {
    what: '`http.ClientRequest` without a socket',
    make: async () => {
      const target = await request()
      const emitted = new Promise((resolve) =>
        target.once('socket', (socket) => socket.once('connect', resolve)),
      )
      return { target, connected: () => emitted }
    },
  },
  {
    what: '`http.ClientRequest` that waits for a free socket of its agent',
    make: async () => {
      const agent = closedAfterwards(new http.Agent({ keepAlive: true, maxSockets: 1 }), (it) => it.destroy())
      const answers: http.ServerResponse[] = []
      const port = await httpPort((_, response) => void answers.push(response))
      const first = http.get({ port, host, agent }, (response) => response.resume())
      first.on('error', () => {})
      await once(first, 'socket')
      const target = http.get({ port, host, agent }).on('error', () => {})
      const connected = async () => {
        const gotSocket = once(target, 'socket')
        while (answers.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
        answers[0]!.end()
        await gotSocket
      }
      return { target, connected }
    },
  },
  {
    what: 'HTTP/2 session that is connecting',
    make: async () => {
      const { session } = await connectingSession()
      return { target: session, connected: told(session, 'connect') }
    },
  },
  {
    what: 'HTTP/2 stream of a session that is connecting',
    make: async () => {
      const { session } = await connectingSession()
      const stream = session.request({ ':path': '/' }).on('error', () => {})
      return { target: stream, connected: told(session, 'connect') }
    },
  },
  {
    what: 'WebSocket of `ws` that is connecting',
    make: async () => {
      const server = new WebSocketServer({ port: 0, host })
      const port = await listening(server)
      const target = closedAfterwards(new WebSocket(`ws://${host}:${port}`), (it) => it.terminate())
      target.on('error', () => {})
      return { target, connected: told(target, 'open') }
    },
  },
  {
    what: 'socket.io Socket, client, before it is connected',
    make: async () => {
      const { port } = await socketIo('websocket')
      const options = { transports: ['websocket'], forceNew: true }
      const target = closedAfterwards(io(`http://${host}:${port}`, options), (it) => it.close())
      return { target, connected: told(target as never, 'connect') }
    },
  },
]

async function connectingSession() {
  const http2 = await import('node:http2')
  const session = http2.connect(`http://${host}:${await http2Port()}`)
  session.on('error', () => {})
  return { session: closedAfterwards(session, (it) => it.destroy()) }
}

export const closedRows: Row[] = [
  {
    what: '`net.Socket` that is closed',
    make: async () => {
      const { socket } = await connectPair()
      socket.destroy()
      await once(socket, 'close')
      return socket
    },
  },
  {
    what: '`http.ClientRequest` that was destroyed',
    make: async () => (await request()).destroy(),
  },
  {
    what: '`http.ServerResponse` that is finished',
    make: async () => {
      const { response } = await exchange()
      response.end()
      await once(response, 'finish')
      return response
    },
  },
  {
    what: 'HTTP/2 session that is closed',
    make: async () => {
      const { session } = await http2Exchange()
      session.destroy()
      await once(session, 'close')
      return session
    },
  },
  {
    what: 'HTTP/2 stream that is closed',
    make: async () => {
      const { stream } = await http2Exchange()
      stream.destroy()
      await once(stream, 'close')
      return stream
    },
  },
  {
    what: '`Http2ServerRequest` that is closed',
    make: async () => {
      const { incoming, session } = await http2Exchange()
      const closed = once(incoming.stream, 'close')
      session.destroy()
      await closed
      return incoming
    },
  },
  {
    what: 'WebSocket of `ws` that is closed',
    make: async () => {
      const { client } = await webSockets()
      client.terminate()
      await once(client, 'close')
      return client
    },
  },
  {
    what: 'socket.io Socket, server, that is disconnected',
    make: async () => {
      const { peer } = await socketIo('websocket')
      peer.disconnect(true)
      if (peer.conn.readyState !== 'closed') await once(peer.conn, 'close')
      const { _socket: socket } = peer.conn.transport.socket
      if (socket && !socket.destroyed) await once(socket, 'close')
      return peer
    },
  },
]

export interface ServerRow {
  readonly what: string
  /** The server, and how to open a connection to it. */
  readonly make: () => Promise<{
    target: ServerTarget
    listen: () => Promise<() => Promise<net.Socket | WebSocket>>
  }>
}

async function listener(server: net.Server) {
  closedAfterwards(server, (it) => it.close())
  const port = await listen(server)
  return () => connectTo(port)
}

/** In place of `dns.lookup`: not every machine has two addresses for localhost. */
function findTwoAddresses(...args: unknown[]): void {
  const callback = args.at(-1) as (error: null, ...found: unknown[]) => void
  const [name, { all }] = args as [string, { all?: boolean }]
  const addresses = name === 'localhost' ? [host, '127.0.0.2'] : [name]
  // Never before the caller is ready for it.
  if (all)
    setImmediate(
      callback,
      null,
      addresses.map((address) => ({ address, family: 4 })),
    )
  else setImmediate(callback, null, addresses[0], 4)
}

export const serverRows: ServerRow[] = [
  {
    what: '`net.Server`',
    make: async () => {
      const server = net.createServer()
      return { target: server, listen: () => listener(server) }
    },
  },
  {
    what: '`http.Server`',
    make: async () => {
      const server = http.createServer()
      return { target: server, listen: () => listener(server) }
    },
  },
  {
    what: '`WebSocketServer` of `ws` with `port`',
    make: async () => {
      const server = new WebSocketServer({ port: 0, host })
      const port = await listening(server)
      return { target: server, listen: async () => () => openWebSocket(port) }
    },
  },
  {
    what: '`WebSocketServer` of `ws` with `server`',
    make: async () => {
      const server = http.createServer()
      return { target: new WebSocketServer({ server }), listen: () => listener(server) }
    },
  },
  {
    what: '`WebSocketServer` of `ws` with `noServer`',
    make: async () => {
      const target = new WebSocketServer({ noServer: true })
      const server = http.createServer()
      server.on('upgrade', (incoming, socket, head) =>
        target.handleUpgrade(incoming, socket, head, (ws) => target.emit('connection', ws, incoming)),
      )
      const port = await listen(closedAfterwards(server, (it) => it.close()))
      return { target, listen: async () => () => openWebSocket(port) }
    },
  },
  {
    what: 'socket.io Server',
    make: async () => {
      const web = http.createServer()
      const target = closedAfterwards(new Server(web), (it) => it.close())
      return { target, listen: () => listener(web) }
    },
  },
  {
    what: 'fastify instance',
    make: async () => {
      const app = closedAfterwards(fastify({ forceCloseConnections: true }), (it) => it.close())
      const listen = async () => {
        const lookup = vi.spyOn(dns, 'lookup').mockImplementation(findTwoAddresses as never)
        await app.listen({ port: 0, host: 'localhost' }).finally(() => lookup.mockRestore())
        expect(app.addresses()).toHaveLength(2)
        return () => connectTo(portOf(app.server), '127.0.0.2')
      }
      return { target: app, listen }
    },
  },
]
