import { once } from 'node:events'
import net from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import type { WebSocket } from 'ws'
import { detectionTime, inspect, profiles } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { hasNetAdmin } from '../loopback/need-net-admin.js'
import { latest, timed } from '../tolerance.js'
import { startExample } from './example-process.js'
import { QUICK } from './guide.js'
import { importExample, removeImported } from './import-example.js'
import { startRelay } from './relay.js'
import { freePort } from './servers.js'
import { borrowEnd, silence } from './silence.js'

// The guide's examples for ws and fastify. Their servers notice clients that are gone, from the first packet on, and so does ws's client of its server.

const closing: (() => unknown)[] = []
afterAll(async () => {
  for (const close of closing) await close()
  removeImported()
})

function expectInTime(after: number): void {
  const { idle, inFlight } = detectionTime(QUICK)
  expect(after).toBeGreaterThan(500)
  if (timed) expect(after).toBeLessThan(latest(Math.max(idle, inFlight)))
}

/** When a server's end of the connection with this client is closed. */
function endOf(server: net.Server, clientPort: number): Promise<number> {
  return new Promise((resolve) => {
    server.on('connection', (socket) => {
      if (socket.remotePort === clientPort) socket.once('close', () => resolve(performance.now()))
    })
  })
}

/** A client that speaks no protocol, on a port that is known before it connects. */
async function connectFrom(
  server: net.Server,
  port: number,
): Promise<{ client: net.Socket; ended: Promise<number> }> {
  const localPort = await freePort()
  const ended = endOf(server, localPort)
  const client = net.connect({ port, host: '127.0.0.1', localPort })
  client.on('error', () => {})
  closing.unshift(() => client.destroy())
  await once(client, 'connect')
  return { client, ended }
}

const GET = 'GET / HTTP/1.1\r\nHost: example.com\r\n\r\n'

/** Three clients of a server at once. Each goes silent: at once, after an answer, and before it has acknowledged one. */
async function expectNoticed(server: net.Server, port: number): Promise<void> {
  const clients = await Promise.all([0, 1, 2].map(() => connectFrom(server, port)))
  const [unheard, idle, inFlight] = clients
  idle!.client.write(GET)
  await once(idle!.client, 'data')
  const silent = performance.now()
  blackHole(unheard!.client)
  await silence(idle!.client.localPort!, port)
  blackHole(inFlight!.client)
  inFlight!.client.write(GET)
  for (const { ended } of clients) expectInTime((await ended) - silent)
}

describe.concurrent('fastify', () => {
  it.skipIf(!hasNetAdmin)('notices in time clients that go silent, and serves others', async () => {
    const port = await freePort()
    const { app } = await importExample({ heading: 'Fastify', env: { PORT: String(port) } }, 'app')
    closing.push(() => app.close())
    await expectNoticed(app.server, port)
    expect((await fetch(`http://127.0.0.1:${port}`)).status).toBe(404)
  })

  it('serves localhost at two addresses, and `deadpeer run` tunes the connections of both', async () => {
    const port = await freePort()
    const example = startExample({
      heading: 'Fastify',
      env: { PORT: String(port) },
      // Not every machine's /etc/hosts has both.
      edit: (text) => `
        import dns from 'node:dns'
        dns.lookup = (name, options, callback) => {
          const both = [{ address: '127.0.0.1', family: 4 }, { address: '::1', family: 6 }]
          if (options.all) callback(null, both)
          else callback(null, both[0].address, both[0].family)
        }
        ${text.replace('0.0.0.0', 'localhost')}`,
      added: `function answer() {}; say('ready')`,
    })
    closing.unshift(example.stop)
    await example.said('ready')
    for (const host of ['127.0.0.1', '::1']) {
      const client = net.connect({ port, host })
      closing.unshift(() => client.destroy())
      await once(client, 'connect')
      const accepted = await borrowEnd(port, client.localPort!)
      expect(inspect(accepted).profile, host).toMatchObject(profiles.cloud)
    }
  })
})

describe.concurrent('ws', () => {
  /** The example, whose client connects to its server through a relay. */
  async function start(silentFirst = false) {
    const port = await freePort()
    const relay = await startRelay(port, { silentFirst })
    const env = { WS_PORT: String(port), WS_URL: `ws://127.0.0.1:${relay.port}` }
    const example = await importExample({ heading: 'WebSocket: ws', env }, 'web', 'server', 'socket')
    const socket: WebSocket = example.socket
    closing.push(relay.stop, () => example.web.close())
    closing.unshift(() => socket.terminate())
    const closed = new Promise<{ code: number; at: number }>((resolve) => {
      socket.once('close', (code) => resolve({ code, at: performance.now() }))
    })
    return { port, relay, web: example.web as net.Server, server: example.server, socket, closed }
  }

  it.skipIf(!hasNetAdmin)(
    'a client notices in time that the server goes silent before the handshake',
    async () => {
      const { relay, closed } = await start(true)
      const silent = await relay.silentSince()
      const { code, at } = await closed
      expect(code).toBe(1006)
      expectInTime(at - silent)
    },
  )

  it.skipIf(!hasNetAdmin)(
    'a client notices in time that the server is gone while the connection is idle',
    async () => {
      const { relay, socket, closed } = await start()
      await once(socket, 'open')
      const silent = await relay.silence()
      const { code, at } = await closed
      expect(code).toBe(1006)
      expectInTime(at - silent)
    },
  )

  it.skipIf(!hasNetAdmin)(
    'a client notices in time that the server is gone with a message in flight',
    async () => {
      const { relay, socket, closed } = await start()
      await once(socket, 'open')
      const silent = await relay.silence()
      socket.send('hello')
      const { code, at } = await closed
      expect(code).toBe(1006)
      expectInTime(at - silent)
    },
  )

  it.skipIf(!hasNetAdmin)(
    'a server notices in time clients that go silent before, between and under messages',
    async () => {
      const { port, web, server } = await start()
      const unheard = await connectFrom(web, port)
      const [idle, inFlight] = await Promise.all([0, 1].map(() => openWebSocket(web, port)))
      const silent = performance.now()
      blackHole(unheard.client)
      for (const { client } of [idle!, inFlight!]) await silence(client.localPort!, port)
      for (const peer of server.clients)
        if (peer._socket.remotePort === inFlight!.client.localPort) peer.send('hello')
      for (const { ended } of [unheard, idle!, inFlight!]) expectInTime((await ended) - silent)
    },
  )
})

/** A client whose handshake with ws is done. */
async function openWebSocket(server: net.Server, port: number) {
  const connected = await connectFrom(server, port)
  connected.client.write(
    'GET / HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  )
  const [answer] = await once(connected.client, 'data')
  expect(String(answer)).toContain('101')
  return connected
}
