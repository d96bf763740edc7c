import { once } from 'node:events'
import net from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import type { WebSocket } from 'ws'
import { inspect } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { startExample } from '../support/guide-example-process.js'
import { expectInTime, importExample, QUICK, removeExamples } from '../support/guide-examples.js'
import { freePort } from '../support/installed-server.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { Relay } from '../support/relay.js'
import { borrowEnd, silence } from '../support/silent-server.js'

// The guide's examples for ws and fastify. Their servers notice clients that are gone, from the first packet on, and so does ws's client of its server.

const closing: (() => unknown)[] = []
afterAll(async () => {
  for (const close of closing) await close()
  removeExamples()
})

/** When a server's end of the connection with this client is closed. */
function endOf(server: net.Server, clientPort: number): Promise<number> {
  return new Promise((resolve) => {
    server.on('connection', (socket) => {
      if (socket.remotePort === clientPort) socket.once('close', () => resolve(performance.now()))
    })
  })
}

interface Connected {
  readonly client: net.Socket
  /** When the server's end of it was closed. */
  readonly ended: Promise<number>
}

/** A client that speaks no protocol, on a port that is known before it connects. */
async function connectFrom(server: net.Server, port: number): Promise<Connected> {
  const localPort = await freePort()
  const ended = endOf(server, localPort)
  const client = net.connect({ port, host: '127.0.0.1', localPort })
  client.on('error', () => {})
  closing.unshift(() => client.destroy())
  await once(client, 'connect')
  return { client, ended }
}

const GET = 'GET / HTTP/1.1\r\nHost: example.com\r\n\r\n'

/** Clients go silent: one that has sent nothing yet, one that is idle, and one that something is on its way to. */
async function expectNoticed(
  server: net.Server,
  port: number,
  [idle, inFlight]: readonly Connected[],
  send: () => void,
): Promise<void> {
  await silence(idle!.client.localPort!, port)
  const idleSince = performance.now()
  await silence(inFlight!.client.localPort!, port)
  send()
  const inFlightSince = performance.now()
  const unheard = await connectFrom(server, port)
  blackHole(unheard.client)
  const unheardSince = performance.now()
  expectInTime((await idle!.ended) - idleSince)
  expectInTime((await inFlight!.ended) - inFlightSince)
  expectInTime((await unheard.ended) - unheardSince)
}

describe.concurrent('fastify', () => {
  it.skipIf(!hasNetAdmin)('detects unresponsive clients in time, and keeps serving the others', async () => {
    const port = await freePort()
    const { app } = await importExample({ heading: 'Fastify', env: { PORT: String(port) } }, 'app')
    closing.push(() => app.close())
    const [idle, inFlight] = await Promise.all([0, 1].map(() => connectFrom(app.server, port)))
    idle!.client.write(GET)
    await once(idle!.client, 'data')
    await expectNoticed(app.server, port, [idle!, inFlight!], () => inFlight!.client.write(GET))
    expect((await fetch(`http://127.0.0.1:${port}`)).status).toBe(404)
  })

  it('serves localhost at two addresses, and `deadpeer run` tunes the connections of both', async () => {
    const port = await freePort()
    const example = startExample({
      heading: 'Fastify',
      ports: [port],
      env: () => ({ PORT: String(port) }),
      // Not every machine's /etc/hosts has both.
      edit: (text) => `
        import dns from 'node:dns'
        const { lookup } = dns
        dns.lookup = (name, options, callback = options) => {
          if (name !== 'localhost') return lookup(name, options, callback)
          const both = [{ address: '127.0.0.1', family: 4 }, { address: '::1', family: 6 }]
          if (options.all) callback(null, both)
          else callback(null, both[0].address, both[0].family)
        }
        ${text.replace('0.0.0.0', 'localhost')}`,
      added: `function answer() {}; say('ready')`,
    })
    closing.unshift(example.stop)
    await example.runs[0]!.said('ready')
    for (const host of ['127.0.0.1', '::1']) {
      const client = net.connect({ port, host })
      closing.unshift(() => client.destroy())
      await once(client, 'connect')
      const accepted = await borrowEnd(port, client.localPort!)
      expect(inspect(accepted).profile, host).toMatchObject(QUICK)
    }
  })
})

describe.concurrent('ws', () => {
  /** The example, whose client connects to its server through a relay. */
  async function start(silentFirst = false) {
    const port = await freePort()
    const relay = await Relay.start(port, silentFirst ? { first: 'silent' } : {})
    const env = { WS_PORT: String(port), WS_URL: `ws://127.0.0.1:${relay.port}` }
    const example = await importExample({ heading: 'WebSocket: ws', env }, 'web', 'server', 'socket')
    const socket: WebSocket = example.socket
    closing.push(
      () => relay.stop(),
      () => example.web.close(),
    )
    closing.unshift(() => socket.terminate())
    const closed = new Promise<{ code: number; at: number }>((resolve) => {
      socket.once('close', (code) => resolve({ code, at: performance.now() }))
    })
    return { port, relay, web: example.web as net.Server, server: example.server, socket, closed }
  }

  it.skipIf(!hasNetAdmin)(
    'notices at a client in time that the server goes silent before the handshake',
    async () => {
      const { relay, closed } = await start(true)
      const { code } = await closed
      expect(code).toBe(1006)
      expectInTime(await relay.firstLasted)
    },
  )

  it.skipIf(!hasNetAdmin)(
    'notices at a client in time that the server is gone while the connection is idle',
    async () => {
      const { relay, socket, closed } = await start()
      await once(socket, 'open')
      const { since } = await relay.silence()
      const { code, at } = await closed
      expect(code).toBe(1006)
      expectInTime(at - since)
    },
  )

  it.skipIf(!hasNetAdmin)(
    'notices at a client in time that the server is gone with a message in flight',
    async () => {
      const { relay, socket, closed } = await start()
      await once(socket, 'open')
      const { since } = await relay.silence()
      socket.send('hello')
      const { code, at } = await closed
      expect(code).toBe(1006)
      expectInTime(at - since)
    },
  )

  it.skipIf(!hasNetAdmin)(
    'notices at a server in time that clients go silent before, between and during messages',
    async () => {
      const { port, web, server } = await start()
      const [idle, inFlight] = await Promise.all([0, 1].map(() => openWebSocket(web, port)))
      await expectNoticed(web, port, [idle!, inFlight!], () => {
        const peers: WebSocket[] = [...server.clients]
        for (const peer of peers) if (portOf(peer) === inFlight!.client.localPort) peer.send('hello')
      })
    },
  )
})

const portOf = (peer: WebSocket) => (peer as unknown as { _socket: net.Socket })._socket.remotePort

/** A client whose handshake with ws is done. */
async function openWebSocket(server: net.Server, port: number): Promise<Connected> {
  const connected = await connectFrom(server, port)
  connected.client.write(
    'GET / HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  )
  const [answer] = await once(connected.client, 'data')
  expect(String(answer)).toContain('101')
  return connected
}
