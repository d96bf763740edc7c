import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { request } from 'undici'
import { describe, expect, it } from 'vitest'
import { HttpAgent, type Snapshot } from '../../src/http/index.js'
import { createAgent } from '../../src/undici/index.js'

const LIMIT = 600

interface Client {
  ask(): Promise<void>
  snapshot(): Snapshot
  end(): unknown
}

const clients: Record<string, (port: number, learn?: boolean) => Client> = {
  HttpAgent: (port, learn) => {
    const agent = new HttpAgent({ freeSocketTimeout: 0, ...(learn !== undefined && { learn }) })
    return {
      async ask() {
        const sent = http.get({ host: '127.0.0.1', port, agent })
        const [response] = (await once(sent, 'response')) as [http.IncomingMessage]
        response.resume()
        await once(response, 'end')
        // The agent frees the connection in the next turn.
        await turn()
      },
      snapshot: () => agent.snapshot(),
      end: () => agent.destroy(),
    }
  },
  createAgent: (port, learn) => {
    const dispatcher = createAgent({
      keepAliveTimeout: 60_000,
      ...(learn !== undefined && { learn }),
    })
    return {
      async ask() {
        const { body } = await request(`http://127.0.0.1:${port}`, { dispatcher })
        await body.dump()
      },
      snapshot: () => dispatcher.snapshot(),
      end: () => dispatcher.destroy(),
    }
  },
}

/** Closes each connection `limit` ms after its last response, without an announcement, or with this `Keep-Alive` header. */
function closingAfter(limit: number, header = ''): net.Server {
  return net.createServer((socket) => {
    let timer: NodeJS.Timeout
    socket.on('error', () => {})
    socket.on('close', () => clearTimeout(timer))
    socket.on('data', () => {
      clearTimeout(timer)
      socket.write(`HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n${header}Content-Length: 0\r\n\r\n`)
      timer = setTimeout(() => socket.end(), limit)
    })
  })
}

async function withServer(server: net.Server, use: (port: number) => Promise<void>): Promise<void> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await use((server.address() as net.AddressInfo).port)
  } finally {
    server.close()
  }
}

/** Opens this many connections, one after the other, and waits until the server has closed each. */
async function letServerClose({ ask, snapshot }: Client, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const before = snapshot().total.closedByPeer
    await ask()
    while (snapshot().total.closedByPeer === before) await delay(5)
  }
}

const limitOf = (client: Client) => Object.values(client.snapshot().origins)[0]?.idleLimit

describe('the option learn', () => {
  it.each([
    { agent: 'HttpAgent', make: (learn: unknown) => new HttpAgent({ learn: learn as boolean }) },
    { agent: 'createAgent', make: (learn: unknown) => createAgent({ learn: learn as boolean }) },
  ])('of $agent must be a boolean', ({ make }) => {
    expect(() => make('false')).toThrow(/learn must be true or false; got 'false'/)
  })
})

describe.each(Object.entries(clients))('%s', (_, make) => {
  it('learns the idle limit of an origin, and then reuses connections only before it', async () => {
    await withServer(closingAfter(LIMIT), async (port) => {
      const client = make(port)
      await letServerClose(client, 3)
      expect(limitOf(client)).toBeUndefined()
      // A fourth is enough, unless this machine notices one of them too late.
      for (let i = 0; i < 12 && limitOf(client) === undefined; i++) await letServerClose(client, 1)
      expect(limitOf(client)).toBeGreaterThan(LIMIT * 0.9)
      expect(limitOf(client)).toBeLessThan(LIMIT * 1.1)
      await client.ask()
      await delay(LIMIT / 4)
      await client.ask()
      expect(client.snapshot().total.reusedRequests).toBe(1)
      const { opened } = client.snapshot().total
      await delay(LIMIT * 0.97)
      await client.ask()
      const { total } = client.snapshot()
      expect(total.opened).toBe(opened + 1)
      expect(total).toMatchObject({ reusedRequests: 1, failedRequests: 0, staleReuses: 0 })
      await client.end()
    })
  })

  it('learns nothing with learn: false', async () => {
    await withServer(closingAfter(100), async (port) => {
      const client = make(port, false)
      await letServerClose(client, 5)
      expect(limitOf(client)).toBeUndefined()
      await client.end()
    })
  })

  it('learns nothing when the server closes all connections at once', async () => {
    const server = http.createServer((_, response) => response.end())
    await withServer(server, async (port) => {
      const client = make(port)
      for (let restart = 0; restart < 5; restart++) {
        await Promise.all(Array.from({ length: 4 }, () => client.ask()))
        await delay(150 + restart * 40)
        server.closeIdleConnections()
        while (client.snapshot().total.open > 0) await delay(5)
      }
      expect(limitOf(client)).toBeUndefined()
      await client.end()
    })
  })
})
