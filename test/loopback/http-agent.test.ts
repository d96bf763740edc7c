import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import axios from 'axios'
import { afterAll, describe, expect, it } from 'vitest'
import { HttpAgent, type HttpAgentOptions, HttpsAgent, isStaleReuse } from '../../src/http/index.js'
import { inspect, profiles, watch } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { certificate } from '../support/certificate.js'
import { listen } from '../support/connections.js'
import { type Answer, answerTo } from '../support/http-answer.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { until } from '../support/until.js'

const closing: (() => void)[] = []
afterAll(() => {
  for (const close of closing) close()
})

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void

interface Site {
  readonly agent: HttpAgent | HttpsAgent
  readonly port: number
  /** The server's ends, the newest last. */
  readonly peers: net.Socket[]
  get(path?: string, options?: http.RequestOptions): Promise<Answer>
}

/** A server that keeps its connections, and an agent for it. */
async function site(options: HttpAgentOptions = {}, handler: Handler = (_, response) => response.end('ok')) {
  const server = http.createServer(handler)
  server.keepAliveTimeout = 0
  return siteOf(server, new HttpAgent(options))
}

async function siteOf(server: http.Server | https.Server, agent: HttpAgent | HttpsAgent): Promise<Site> {
  const peers: net.Socket[] = []
  server.on(server instanceof https.Server ? 'secureConnection' : 'connection', (peer: net.Socket) =>
    peers.push(peer.on('error', () => {})),
  )
  const port = await listen(server)
  const { get } = server instanceof https.Server ? https : http
  closing.push(() => {
    agent.destroy()
    server.closeAllConnections()
    server.close()
  })
  const ask = (path = '/', more: http.RequestOptions = {}) =>
    answerTo(get({ host: '127.0.0.1', port, path, agent, ...more }))
  return { agent, port, peers, get: ask }
}

const total = ({ agent }: Site) => agent.snapshot().total

/** What a request fails with. */
async function failure(request: http.ClientRequest): Promise<NodeJS.ErrnoException> {
  const [error] = await once(request, 'error')
  return error
}

describe('HttpAgent and HttpsAgent', () => {
  it('keep, tune and count connections for http', async () => {
    const here = await site()
    const first = await here.get()
    expect(inspect(first.socket).profile).toMatchObject(profiles.cloud)
    const second = await here.get()
    expect(second.socket).toBe(first.socket)
    expect(second.request.reusedSocket).toBe(true)
    expect(inspect(second.socket).profile).toMatchObject(profiles.cloud)
    expect(here.agent.snapshot()).toEqual({
      total: total(here),
      origins: { [`http://127.0.0.1:${here.port}`]: total(here) },
    })
    expect(total(here)).toEqual({
      opened: 1,
      open: 1,
      closedByPeer: 0,
      closedByUs: 0,
      reset: 0,
      timedOut: 0,
      failedToOpen: 0,
      requests: 2,
      reusedRequests: 1,
      reuseRatio: 0.5,
      staleReusesAvoided: 0,
      staleReuses: 0,
      retried: 0,
      failedRequests: 0,
    })
  })

  it('keep and tune connections for https', async () => {
    const server = https.createServer(certificate(), (_, response) => response.end('ok'))
    server.keepAliveTimeout = 0
    const here = await siteOf(server, new HttpsAgent({ rejectUnauthorized: false, profile: 'lan' }))
    const first = await here.get()
    const second = await here.get()
    expect(second.socket).toBe(first.socket)
    expect(second.socket).toBeInstanceOf(TLSSocket)
    expect(inspect(second.socket).profile).toMatchObject(profiles.lan)
    here.peers[0]!.destroy()
    const third = await here.get()
    expect(third.socket).not.toBe(first.socket)
    expect(total(here)).toMatchObject({ opened: 2, requests: 3, staleReusesAvoided: 1, failedRequests: 0 })
  })

  it('serve axios', async () => {
    const here = await site()
    const client = axios.create({ httpAgent: here.agent, baseURL: `http://127.0.0.1:${here.port}` })
    expect((await client.get('/')).data).toBe('ok')
    expect((await client.post('/', { a: 1 })).data).toBe('ok')
    expect(total(here)).toMatchObject({ requests: 2, reusedRequests: 1, opened: 1 })
    // It calls setKeepAlive(true, 60_000) itself.
    expect(inspect(Object.values(here.agent.freeSockets)[0]![0]!).profile).toMatchObject(profiles.cloud)
    here.peers[0]!.destroy()
    expect((await client.post('/', { a: 1 })).data).toBe('ok')
    expect(total(here)).toMatchObject({ staleReusesAvoided: 1, staleReuses: 0, failedRequests: 0 })
  })

  it('open a connection for each request of axios without keepAlive, and count who closes it first', async () => {
    const here = await site({ keepAlive: false })
    const client = axios.create({ httpAgent: here.agent, baseURL: `http://127.0.0.1:${here.port}` })
    for (let i = 0; i < 3; i++) expect((await client.get('/')).data).toBe('ok')
    await until(() => total(here).open === 0)
    expect(total(here)).toMatchObject({ opened: 3, requests: 3, reusedRequests: 0, failedRequests: 0 })
    expect(total(here).closedByPeer + total(here).closedByUs).toBe(3)
  })

  it('serve redirects, an error status and a timeout of axios', async () => {
    const here = await site({}, (request, response) => {
      if (request.url === '/from') response.writeHead(302, { Location: '/to' }).end()
      else if (request.url === '/missing') response.writeHead(404).end('none')
      else if (request.url !== '/never') response.end('ok')
    })
    const client = axios.create({ httpAgent: here.agent, baseURL: `http://127.0.0.1:${here.port}` })
    expect((await client.get('/from')).data).toBe('ok')
    await expect(client.get('/missing')).rejects.toMatchObject({ status: 404 })
    const { opened, reusedRequests } = total(here)
    // It follows while the first answer's connection is yet to be free.
    expect(opened + reusedRequests).toBe(3)
    expect(total(here)).toMatchObject({ requests: 3, failedRequests: 0 })
    await expect(client.get('/never', { timeout: 100 })).rejects.toMatchObject({ code: 'ECONNABORTED' })
    await until(() => total(here).open === 0 && total(here).failedRequests > 0)
    expect(total(here)).toMatchObject({ requests: 4, timedOut: 0, failedRequests: 1, staleReuses: 0 })
  })

  it('serve a pipeline, an answer without a body and a request aborted in the middle, as got uses them', async () => {
    const here = await site({}, (request, response) => {
      if (request.url === '/empty') response.writeHead(204).end()
      else if (request.url === '/endless') response.write('some')
      else request.pipe(response)
    })
    const ask = async (path: string, body: string, signal?: AbortSignal) => {
      const request = http.request({
        host: '127.0.0.1',
        port: here.port,
        path,
        agent: here.agent,
        method: 'POST',
        signal,
      })
      const answered = once(request, 'response') as Promise<[http.IncomingMessage]>
      await pipeline(Readable.from([body]), request)
      const [response] = await answered
      return response
    }
    expect(await text(await ask('/', 'echo'))).toBe('echo')
    expect(await text(await ask('/empty', 'body'))).toBe('')
    expect(total(here)).toMatchObject({ opened: 1, requests: 2, reusedRequests: 1, failedRequests: 0 })
    const controller = new AbortController()
    const response = await ask('/endless', 'body', controller.signal)
    response.once('data', () => controller.abort())
    await expect(pipeline(response, new PassThrough().resume())).rejects.toThrow()
    await until(() => total(here).open === 0)
    expect(total(here)).toMatchObject({ opened: 1, closedByUs: 1, failedRequests: 1, staleReuses: 0 })
  })

  it('count connections over IPv6 and a UNIX socket by the name of each origin', async () => {
    const agent = new HttpAgent()
    closing.push(() => agent.destroy())
    const path = `\0deadpeer-http-agent-${process.pid}`
    const server = http.createServer((_, response) => response.end()).listen(path)
    await once(server, 'listening')
    closing.push(() => server.close())
    const request = http.get({ socketPath: path, agent })
    const [response] = await once(request, 'response')
    response.resume()
    await once(request, 'close')
    await once(http.get({ host: '::1', port: 1, agent }), 'error')
    await until(() => agent.snapshot().total.failedToOpen === 1)
    expect(Object.keys(agent.snapshot().origins)).toEqual([`unix:${path}`, 'http://[::1]:1'])
    expect(agent.snapshot().total).toMatchObject({ opened: 1, failedToOpen: 1, failedRequests: 1 })
  })

  it('can be subclassed', async () => {
    const hosts: unknown[] = []
    class Own extends HttpAgent {
      override createConnection(...args: Parameters<http.Agent['createConnection']>) {
        hosts.push((args[0] as { host?: string }).host)
        return super.createConnection(...args)
      }
    }
    const server = http.createServer((_, response) => response.end('ok'))
    const here = await siteOf(server, new Own({ profile: 'lan' }))
    expect(inspect((await here.get()).socket).profile).toMatchObject(profiles.lan)
    expect(hosts).toEqual(['127.0.0.1'])
    expect(total(here).opened).toBe(1)
  })

  it('leave as many listeners on a connected socket as an agent of Node does', async () => {
    const here = await site({ watch: true })
    const plain = new http.Agent({ keepAlive: true })
    closing.push(() => plain.destroy())
    const names = ['connect', 'data', 'end', 'close', 'error', 'timeout', 'drain']
    const listenersOf = async (agent: http.Agent) => {
      const request = http.get({ host: '127.0.0.1', port: here.port, agent })
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      const counts = names.map((name) => [name, response.socket.listenerCount(name)])
      response.resume()
      return Object.fromEntries(counts) as Record<string, number>
    }
    expect(await listenersOf(here.agent)).toEqual(await listenersOf(plain))
  })

  it('do not tune connections with profile: false', async () => {
    const here = await site({ profile: false })
    expect(inspect((await here.get()).socket).profile).toMatchObject({ interval: 1_000, count: 10 })
  })
})

describe('a dead idle connection', () => {
  it('is not reused after the server closed it, even before Node has read the close', async () => {
    const here = await site()
    const { socket } = await here.get()
    here.peers[0]!.destroy()
    expect(socket.destroyed).toBe(false)
    const answer = await here.get()
    expect(answer.socket).not.toBe(socket)
    await until(() => total(here).closedByPeer === 1)
    expect(total(here)).toMatchObject({ opened: 2, open: 1, staleReusesAvoided: 1, reusedRequests: 0 })
  })

  it('is not reused after the server reset it', async () => {
    const here = await site()
    await here.get()
    here.peers[0]!.resetAndDestroy()
    await here.get()
    await until(() => total(here).reset === 1)
    expect(total(here)).toMatchObject({ opened: 2, open: 1, staleReusesAvoided: 1 })
  })

  it('is removed with all other dead ones of the origin, and the live one is reused', async () => {
    const here = await site()
    await Promise.all(Array.from({ length: 8 }, () => here.get()))
    expect(total(here).opened).toBe(8)
    const free = [...Object.values(here.agent.freeSockets)[0]!]
    const alive = here.peers.find((peer) => peer.remotePort === free[0]!.localPort)!
    for (const peer of here.peers) if (peer !== alive) peer.destroy()
    const answer = await here.get()
    expect(answer.socket).toBe(free[0])
    await until(() => total(here).closedByPeer === 7)
    expect(total(here)).toMatchObject({ opened: 8, open: 1, staleReusesAvoided: 7, reusedRequests: 1 })
  })

  it('is reused by an agent of Node, and the request fails', async () => {
    const here = await site()
    const agent = new http.Agent({ keepAlive: true })
    closing.push(() => agent.destroy())
    await here.get('/', { agent })
    here.peers[0]!.destroy()
    const request = http.get({ host: '127.0.0.1', port: here.port, agent })
    const error = await failure(request)
    expect(error.code).toBe('ECONNRESET')
    expect(isStaleReuse(error, request)).toBe(true)
  })

  it('is not given to a queued request', async () => {
    const here = await site({ maxSockets: 1, maxRequestsPerSocket: 2 })
    const sockets = (await Promise.all(Array.from({ length: 5 }, () => here.get()))).map(
      ({ socket }) => socket,
    )
    expect(new Set(sockets).size).toBe(3)
    expect(total(here)).toMatchObject({ opened: 3, requests: 5, reusedRequests: 2 })
  })

  it.skipIf(!hasNetAdmin)('is not reused while it has unacknowledged probes', async () => {
    const here = await site({ profile: { initialDelay: 1_000, interval: 1_000, count: 9 } })
    const { socket } = await here.get()
    blackHole(here.peers[0]!)
    await until(() => inspect(socket).info!.probes > 0)
    expect(socket.destroyed).toBe(false)
    expect((await here.get()).socket).not.toBe(socket)
    expect(total(here)).toMatchObject({ opened: 2, open: 1, closedByUs: 1, staleReusesAvoided: 1 })
  })

  it.skipIf(!hasNetAdmin)(
    'is not reused after the kernel has ended it, and the watcher reports the reason',
    async () => {
      const watcher = watch()
      const profile = { initialDelay: 1_000, interval: 1_000, count: 1 }
      const here = await site({ profile, watch: watcher, freeSocketTimeout: 0 })
      const { socket } = await here.get()
      expect(here.agent.watcher).toBe(watcher)
      expect(watcher.has(socket)).toBe(true)
      blackHole(here.peers[0]!)
      const [death] = await once(watcher, 'dead')
      expect(death).toMatchObject({ socket, reason: 'keepalive' })
      await until(() => total(here).timedOut === 1)
      expect((await here.get()).body).toBe('ok')
      expect(total(here)).toMatchObject({ opened: 2, open: 1, staleReusesAvoided: 0, failedRequests: 0 })
    },
  )
})

describe('the lifetime of an idle connection', () => {
  it('ends after freeSocketTimeout', async () => {
    const here = await site({ freeSocketTimeout: 100 })
    const { socket } = await here.get()
    await once(socket, 'close')
    expect(total(here)).toMatchObject({ open: 0, closedByUs: 1 })
  })

  it('ends after freeSocketTimeout also if the timer is late', async () => {
    const here = await site({ freeSocketTimeout: 100 })
    const { socket } = await here.get()
    const end = performance.now() + 130
    while (performance.now() < end);
    const next = here.get()
    expect((await next).socket).not.toBe(socket)
    expect(total(here)).toMatchObject({ opened: 2, closedByUs: 1, staleReusesAvoided: 0 })
  })

  it.each<{ options: HttpAgentOptions; wanted: number }>([
    { options: { timeout: 300 }, wanted: 300 },
    { options: { timeout: 300, freeSocketTimeout: 0 }, wanted: 300 },
    { options: { timeout: 300, freeSocketTimeout: 200 }, wanted: 200 },
    { options: { timeout: 9_000 }, wanted: 4_000 },
    { options: { timeout: 0 }, wanted: 4_000 },
  ])('is the shorter of timeout and freeSocketTimeout: %j', async (row) => {
    const here = await site(row.options)
    const { socket } = await here.get()
    expect(socket.timeout).toBe(row.wanted)
  })

  it('ends after the timeout of the agent', async () => {
    const here = await site({ timeout: 100 })
    const { socket } = await here.get()
    await once(socket, 'close')
    expect(total(here)).toMatchObject({ open: 0, closedByUs: 1 })
  })

  interface Hooks {
    keepSocketAlive(socket: net.Socket): boolean
    reuseSocket(socket: net.Socket, request: http.ClientRequest): void
  }
  const Base = HttpAgent as unknown as new (options?: HttpAgentOptions) => HttpAgent & Hooks

  it('is the one that a subclass sets in keepSocketAlive', async () => {
    class Own extends Base {
      override keepSocketAlive(socket: net.Socket): boolean {
        if (!super.keepSocketAlive(socket)) return false
        socket.setTimeout(60)
        return true
      }
    }
    const here = await siteOf(
      http.createServer((_, response) => response.end('ok')),
      new Own(),
    )
    const { socket } = await here.get()
    expect(socket.timeout).toBe(60)
    await once(socket, 'close')
    expect(total(here)).toMatchObject({ open: 0, closedByUs: 1 })
  })

  it('is 0 if keepSocketAlive of a subclass does not keep the connection', async () => {
    class Own extends Base {
      override keepSocketAlive(): boolean {
        return false
      }
    }
    const here = await siteOf(
      http.createServer((_, response) => response.end('ok')),
      new Own(),
    )
    const { socket } = await here.get()
    expect(socket.destroyed).toBe(true)
  })

  it('is the one that a subclass sets in reuseSocket', async () => {
    class Own extends Base {
      override reuseSocket(socket: net.Socket, request: http.ClientRequest): void {
        super.reuseSocket(socket, request)
        socket.setTimeout(5_000)
      }
    }
    const here = await siteOf(
      http.createServer((_, response) => response.end('ok')),
      new Own(),
    )
    await here.get()
    const next = here.get()
    expect(Object.values(here.agent.sockets)[0]![0]!.timeout).toBe(5_000)
    await next
  })

  it('does not limit a request', async () => {
    const here = await site({ freeSocketTimeout: 100 }, (request, response) => {
      setTimeout(() => response.end('ok'), request.url === '/slow' ? 300 : 0)
    })
    const { socket } = await here.get()
    expect(socket.timeout).toBe(100)
    const asked = here.get('/slow')
    expect(socket.timeout).toBe(0)
    const slow = await asked
    expect(slow.socket).toBe(socket)
    expect(slow.body).toBe('ok')
  })

  it('does not change the timeout of a request', async () => {
    const here = await site({ freeSocketTimeout: 5_000 }, (request, response) => {
      if (request.url !== '/never') response.end('ok')
    })
    await here.get()
    const request = http.get({
      host: '127.0.0.1',
      port: here.port,
      path: '/never',
      agent: here.agent,
      timeout: 100,
    })
    await once(request, 'timeout')
    request.destroy()
    const error = await failure(request)
    expect(isStaleReuse(error, request)).toBe(false)
    await until(() => total(here).closedByUs === 1)
    expect(total(here)).toMatchObject({ failedRequests: 1, staleReuses: 0 })
  })

  const answering =
    (...headers: string[]): Handler =>
    (_, response) => {
      response.setHeader('Keep-Alive', headers.length > 1 ? headers.shift()! : headers[0]!)
      response.end('ok')
    }

  it.each([
    {
      what: 'timeout=3 less a second if that is shorter than freeSocketTimeout',
      header: 'timeout=3',
      freeSocketTimeout: 60_000,
      wanted: 2_000,
    },
    {
      what: 'timeout=3 less a second if freeSocketTimeout is 0',
      header: 'timeout=3',
      freeSocketTimeout: 0,
      wanted: 2_000,
    },
    {
      what: 'freeSocketTimeout if timeout=90 is longer',
      header: 'timeout=90',
      freeSocketTimeout: 4_000,
      wanted: 4_000,
    },
    {
      what: 'freeSocketTimeout if the header is malformed',
      header: 'timeout=soon',
      freeSocketTimeout: 4_000,
      wanted: 4_000,
    },
  ])('is limited by the Keep-Alive header: $what', async ({ header, freeSocketTimeout, wanted }) => {
    const here = await site({ freeSocketTimeout }, answering(header))
    const { socket } = await here.get()
    expect(socket.timeout).toBe(wanted)
  })

  it('is 0 for timeout=1, which is too short to reuse a connection', async () => {
    const here = await site({}, answering('timeout=1'))
    const { socket } = await here.get()
    expect(socket.destroyed).toBe(true)
    await until(() => total(here).open === 0)
    expect(total(here)).toMatchObject({ closedByUs: 1 })
  })

  it.each([
    { what: 'counted down', headers: ['max=2', 'max=1', 'max=0'] },
    { what: 'always the same', headers: ['max=2'] },
  ])('ends after the number of requests that the server takes ($what)', async ({ headers }) => {
    const here = await site({}, answering(...headers))
    const sockets: net.Socket[] = []
    for (let i = 0; i < 4; i++) sockets.push((await here.get()).socket)
    expect(sockets[1]).toBe(sockets[0])
    expect(sockets[2]).not.toBe(sockets[0])
    expect(total(here)).toMatchObject({ requests: 4, staleReuses: 0, failedRequests: 0 })
  })

  it('ends after maxRequestsPerSocket requests', async () => {
    const here = await site({ maxRequestsPerSocket: 3 })
    for (let i = 0; i < 7; i++) await here.get()
    await until(() => total(here).closedByUs === 2)
    expect(total(here)).toMatchObject({ opened: 3, requests: 7, reusedRequests: 4 })
  })

  it('ends socketActiveTTL after the connection opened, even if the connection was busy until then', async () => {
    const here = await site({ socketActiveTTL: 200 })
    const { socket } = await here.get()
    const start = performance.now()
    while (performance.now() - start < 250) {
      await here.get()
      await delay(20)
    }
    // After a delay of the event loop its timer may be due but not have run yet.
    await until(() => socket.destroyed)
    await here.get()
    expect(total(here).opened).toBeGreaterThanOrEqual(2)
    expect(total(here).failedRequests).toBe(0)
  })

  it("ends after Connection: close, counted as the peer's in an answer and as ours in a request", async () => {
    const here = await site({}, (request, response) => {
      if (request.url === '/close') response.setHeader('Connection', 'close')
      response.end('ok')
    })
    await here.get('/close')
    await until(() => total(here).closedByPeer === 1)
    await here.get('/', { headers: { connection: 'close' } })
    await until(() => total(here).open === 0)
    expect(total(here)).toMatchObject({ opened: 2, closedByPeer: 1, closedByUs: 1 })
  })
})

describe('isStaleReuse', () => {
  /** Answers the first request of each connection, and calls `onLater` for all others. */
  async function rawSite(options: HttpAgentOptions, onLater: (peer: net.Socket, data: Buffer) => void) {
    const peers: net.Socket[] = []
    const server = net.createServer((peer) => {
      peers.push(peer.on('error', () => {}))
      peer.once('data', () => {
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        peer.on('data', (data) => onLater(peer, data))
      })
    })
    const port = await listen(server)
    const agent = new HttpAgent({ freeSocketTimeout: 0, ...options })
    closing.push(() => {
      agent.destroy()
      server.close()
    })
    const first = http.get({ host: '127.0.0.1', port, agent })
    const [response] = (await once(first, 'response')) as [http.IncomingMessage]
    response.resume()
    await once(first, 'close')
    await new Promise(setImmediate)
    const again = (more: http.RequestOptions = {}) =>
      http.request({ host: '127.0.0.1', port, agent, ...more })
    return { agent, peer: peers[0]!, again }
  }

  it('is true for a connection that closed while the request was on its way', async () => {
    const { agent, peer, again } = await rawSite({}, () => {})
    const request = again()
    expect(request.reusedSocket).toBe(true)
    peer.destroy()
    request.end()
    const error = await failure(request)
    expect(isStaleReuse(error, request)).toBe(true)
    expect(isStaleReuse(new Error('wrapped', { cause: error }), request)).toBe(true)
    expect(isStaleReuse(new Error('another'), request)).toBe(false)
    await until(() => agent.snapshot().total.staleReuses === 1)
    expect(agent.snapshot().total).toMatchObject({ failedRequests: 0, staleReusesAvoided: 0 })
  })

  it('closes idle connections to a server whose other connection turned out to be dead', async () => {
    const held: http.ServerResponse[] = []
    const here = await site({ freeSocketTimeout: 0 }, (request, response) => {
      if (request.url === '/hold') held.push(response)
      else response.end('ok')
    })
    const [a, b, c] = await Promise.all([here.get('/a'), here.get('/b'), here.get('/c')])
    const sockets = new Set([a.socket, b.socket, c.socket])
    expect(sockets.size).toBe(3)
    const busy = here.get('/hold')
    await until(() => held.length === 1)
    const request = http.request({ host: '127.0.0.1', port: here.port, agent: here.agent })
    const [gone] = (await once(request, 'socket')) as [net.Socket]
    // Idle after that request was sent: the server was heard from since.
    held[0]!.end('ok')
    const later = (await busy).socket
    here.peers.find((peer) => peer.remotePort === gone.localPort)!.destroy()
    request.end()
    expect(isStaleReuse(await failure(request), request)).toBe(true)
    const others = [...sockets].filter((socket) => socket !== gone && socket !== later)
    expect(others).toHaveLength(1)
    expect(others[0]!.destroyed).toBe(true)
    expect((await here.get()).socket).toBe(later)
  })

  it('is false for a server that reads the request and dies', async () => {
    const { agent, again } = await rawSite({}, (peer) => peer.destroy())
    const request = again().end()
    const error = await failure(request)
    expect(error.code).toBe('ECONNRESET')
    expect(isStaleReuse(error, request)).toBe(false)
    expect(agent.snapshot().total.failedRequests).toBe(1)
    await until(() => agent.snapshot().total.closedByPeer === 1)
    expect(agent.snapshot().total.staleReuses).toBe(0)
  })

  it('is false for a reset long after the request was acknowledged', async () => {
    const { agent, again } = await rawSite({}, (peer) => setTimeout(() => peer.resetAndDestroy(), 100))
    const request = again().end()
    expect(isStaleReuse(await failure(request), request)).toBe(false)
    await until(() => agent.snapshot().total.reset === 1)
  })

  it('is false for a response that breaks off', async () => {
    const { agent, again } = await rawSite({}, (peer) => {
      peer.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () => peer.resetAndDestroy())
    })
    // Node 24 tells the request as well.
    const request = again()
      .on('error', () => {})
      .end()
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    const [error] = await once(response.resume(), 'error')
    expect(isStaleReuse(error, request)).toBe(false)
    await until(() => agent.snapshot().total.failedRequests === 1)
  })

  it('is false without a connection', async () => {
    const agent = new HttpAgent()
    const request = http.get({ host: '127.0.0.1', port: 1, agent })
    expect(isStaleReuse(await failure(request), request)).toBe(false)
    await until(() => agent.snapshot().total.failedToOpen === 1)
  })

  it.skipIf(!hasNetAdmin)('is true if the request itself finds the peer dead', async () => {
    const profile = { initialDelay: 60_000, interval: 60_000, count: 9, userTimeout: 500 }
    const { agent, peer, again } = await rawSite({ profile }, () => {})
    blackHole(peer)
    const request = again().end()
    const error = await failure(request)
    expect(error.code).toBe('ETIMEDOUT')
    expect(isStaleReuse(error, request)).toBe(true)
    await until(() => agent.snapshot().total.timedOut === 1)
    expect(agent.snapshot().total).toMatchObject({ staleReuses: 1, failedRequests: 0 })
  })

  it.skipIf(!hasNetAdmin)('is false for a peer that acknowledges the request and then dies', async () => {
    const profile = { initialDelay: 1_000, interval: 1_000, count: 1 }
    let taken = false
    const { agent, peer, again } = await rawSite({ profile }, () => {
      taken = true
    })
    const request = again().end()
    await until(() => taken && inspect(request.socket!).info!.unacked === 0)
    blackHole(peer)
    const error = await failure(request)
    expect(error.code).toBe('ETIMEDOUT')
    expect(isStaleReuse(error, request)).toBe(false)
    await until(() => agent.snapshot().total.timedOut === 1)
  })
})

describe('the events of an agent', () => {
  it('are published on diagnostics_channel', async () => {
    const told: Record<string, unknown>[] = []
    const names = ['opened', 'closed', 'stale-reuse'].map((name) => `deadpeer:http:${name}`)
    const hear = (message: unknown, name: string | symbol) => told.push({ name, ...(message as object) })
    for (const name of names) diagnostics.subscribe(name, hear)
    const here = await site()
    const { socket } = await here.get()
    here.peers[0]!.destroy()
    await here.get()
    await until(() => total(here).closedByPeer === 1)
    for (const name of names) diagnostics.unsubscribe(name, hear)
    const origin = `http://127.0.0.1:${here.port}`
    const common = { agent: here.agent, origin }
    expect(told.filter(({ agent }) => agent === here.agent)).toEqual([
      { name: 'deadpeer:http:opened', ...common, socket },
      { name: 'deadpeer:http:stale-reuse', ...common, socket, avoided: true },
      { name: 'deadpeer:http:closed', ...common, socket, how: 'closedByPeer' },
      { name: 'deadpeer:http:opened', ...common, socket: expect.any(net.Socket) },
    ])
  })

  it('include stale reuses with their requests, and connections that never opened', async () => {
    const told: Record<string, unknown>[] = []
    const hear = (message: unknown) => told.push(message as Record<string, unknown>)
    const names = ['closed', 'stale-reuse'].map((name) => `deadpeer:http:${name}`)
    for (const name of names) diagnostics.subscribe(name, hear)
    const here = await site()
    const { socket } = await here.get()
    const request = http.request({ host: '127.0.0.1', port: here.port, agent: here.agent })
    here.peers[0]!.destroy()
    request.end()
    await failure(request)
    await once(http.get({ host: '127.0.0.1', port: 1, agent: here.agent }), 'error')
    await until(() => total(here).failedToOpen === 1 && total(here).open === 0)
    for (const name of names) diagnostics.unsubscribe(name, hear)
    const common = { agent: here.agent, origin: `http://127.0.0.1:${here.port}`, socket }
    expect(told.filter(({ agent }) => agent === here.agent)).toEqual([
      { ...common, avoided: false, request },
      { ...common, how: expect.stringMatching(/^(closedByPeer|reset)$/) },
      { ...common, origin: 'http://127.0.0.1:1', socket: expect.any(net.Socket), how: 'failedToOpen' },
    ])
    expect(total(here)).toMatchObject({ staleReuses: 1, staleReusesAvoided: 0, failedRequests: 1 })
  })
})

describe('bad options of an agent', () => {
  it.each([
    { options: { freeSocketTimeout: -1 }, code: 'ERR_OUT_OF_RANGE', field: 'freeSocketTimeout' },
    { options: { freeSocketTimeout: 1.5 }, code: 'ERR_OUT_OF_RANGE', field: 'freeSocketTimeout' },
    {
      options: { freeSocketTimeout: Number.POSITIVE_INFINITY },
      code: 'ERR_OUT_OF_RANGE',
      field: 'freeSocketTimeout',
    },
    { options: { freeSocketTimeout: '4s' }, code: 'ERR_INVALID_ARG_TYPE', field: 'freeSocketTimeout' },
    { options: { socketActiveTTL: -1 }, code: 'ERR_OUT_OF_RANGE', field: 'socketActiveTTL' },
    { options: { maxRequestsPerSocket: null }, code: 'ERR_INVALID_ARG_TYPE', field: 'maxRequestsPerSocket' },
    { options: { timeout: '30s' }, code: 'ERR_INVALID_ARG_TYPE', field: 'timeout' },
    { options: { profile: 'cluod' }, code: 'ERR_INVALID_ARG_TYPE', field: 'profile' },
    { options: { profile: { count: 0 } }, code: 'ERR_OUT_OF_RANGE', field: 'count' },
    { options: { watch: { onDead: 'ignore' } }, code: 'ERR_INVALID_ARG_TYPE', field: 'onDead' },
    { options: null, code: 'ERR_INVALID_ARG_TYPE', field: 'options' },
  ])('are refused: $options', ({ options, code, field }) => {
    for (const Agent of [HttpAgent, HttpsAgent]) {
      expect(() => new Agent(options as never)).toThrow(expect.objectContaining({ code, field }))
    }
  })

  it.each<{ options: object; says: RegExp }>([
    {
      options: { keepAliveTimeout: 30_000 },
      says: /^Unknown option `keepAliveTimeout` .+ Did you mean `freeSocketTimeout`/,
    },
    {
      options: { freeSocketKeepAliveTimeout: 30_000 },
      says: /^Unknown option `freeSocketKeepAliveTimeout` .+ Did you mean `freeSocketTimeout`/,
    },
    {
      options: { freeSocketTimeout: '30s' },
      says: /^freeSocketTimeout must be .+; got '30s'.+ Did you mean 30_000\?$/,
    },
    { options: { freeSocketTimeout: '500ms' }, says: /Did you mean 500\?$/ },
    {
      options: { socketActiveTTL: '10m' },
      says: /^socketActiveTTL must be .+; got '10m'.+ Did you mean 600_000\?$/,
    },
    { options: { timeout: '30s' }, says: /^timeout must be .+; got '30s'.+ Did you mean 30_000\?$/ },
    {
      options: { timeout: 'soon' },
      says: /^timeout must be whole milliseconds from 0 to 2147483647 ms \(0 sets no limit\); got 'soon', a string\.$/,
    },
  ])('of agentkeepalive are refused with the option to use instead: $options', ({ options, says }) => {
    for (const Agent of [HttpAgent, HttpsAgent]) {
      expect(() => new Agent(options)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', message: expect.stringMatching(says) }),
      )
    }
  })
})

describe('a createConnection of the program', () => {
  const open = (options: net.NetConnectOpts) => net.connect(options)

  it.each<{ what: string; make: () => HttpAgent }>([
    {
      what: 'that is assigned later',
      make: () => Object.assign(new HttpAgent({ profile: 'lan' }), { createConnection: open }),
    },
    {
      what: 'that is a field of a subclass',
      make: () =>
        new (class extends HttpAgent {
          override createConnection = open as never
        })({ profile: 'lan' }),
    },
    {
      what: 'that is a method of a subclass',
      make: () =>
        new (
          class extends HttpAgent {
            override createConnection(options: net.NetConnectOpts) {
              return open(options)
            }
          } as never as typeof HttpAgent
        )({ profile: 'lan' }),
    },
  ])('$what opens connections that are tuned, watched and counted', async ({ make }) => {
    const agent = make()
    const here = await siteOf(
      http.createServer((_, response) => response.end('ok')),
      agent,
    )
    const { socket } = await here.get()
    expect(inspect(socket).profile).toMatchObject(profiles.lan)
    expect(agent.watcher!.has(socket)).toBe(true)
    expect(total(here)).toMatchObject({ opened: 1, open: 1, requests: 1 })
  })
})

describe('the snapshot of an agent, when a request reports its error', () => {
  const atError = (agent: HttpAgent, request: http.ClientRequest) =>
    new Promise<object>((resolve) => {
      request.on('error', () => resolve(agent.snapshot().total))
    })

  it('counts the reset connection and its request', async () => {
    const here = await site({}, (request) => request.socket.resetAndDestroy())
    const request = http.get({ host: '127.0.0.1', port: here.port, agent: here.agent })
    expect(await atError(here.agent as HttpAgent, request)).toMatchObject({
      opened: 1,
      open: 0,
      reset: 1,
      failedRequests: 1,
    })
    if (!request.closed) await once(request, 'close')
    expect(total(here)).toMatchObject({ opened: 1, open: 0, reset: 1, failedRequests: 1 })
  })

  it.skipIf(!hasNetAdmin)('counts the dead connection and its request', async () => {
    const profile = { initialDelay: 60_000, interval: 60_000, count: 9, userTimeout: 500 }
    const here = await site({ profile }, () => {})
    const request = http.get({ host: '127.0.0.1', port: here.port, agent: here.agent })
    await until(() => here.peers.length === 1)
    const [socket] = [request.socket!]
    blackHole(here.peers[0]!)
    socket.write('more')
    expect(await atError(here.agent as HttpAgent, request)).toMatchObject({ timedOut: 1, failedRequests: 1 })
    if (!request.closed) await once(request, 'close')
    expect(total(here)).toMatchObject({ timedOut: 1, open: 0, failedRequests: 1 })
  })

  it('counts the connection that was refused', async () => {
    const here = await site()
    const request = http.get({ host: '127.0.0.1', port: 1, agent: here.agent })
    expect(await atError(here.agent as HttpAgent, request)).toMatchObject({
      opened: 0,
      failedToOpen: 1,
      failedRequests: 1,
    })
  })

  it('counts the request whose connection the server has closed without a response', async () => {
    const here = await site({}, (request) => request.socket.destroy())
    const request = http.get({ host: '127.0.0.1', port: here.port, agent: here.agent })
    expect(await atError(here.agent as HttpAgent, request)).toMatchObject({
      opened: 1,
      failedRequests: 1,
    })
    await until(() => total(here).closedByPeer === 1)
    expect(total(here)).toMatchObject({ open: 0, failedRequests: 1 })
  })

  it('counts no failure of a request that continues after the program has emitted an error on it', async () => {
    const here = await site()
    const request = http.get({ host: '127.0.0.1', port: here.port, agent: here.agent })
    const counts = atError(here.agent as HttpAgent, request)
    const answered = new Promise<http.IncomingMessage>((resolve) => request.once('response', resolve))
    request.emit('error', new Error('of the program'))
    expect(await counts).toMatchObject({ failedRequests: 0 })
    await once((await answered).resume(), 'end')
    await until(() => Object.keys(here.agent.freeSockets).length === 1)
    expect(total(here)).toMatchObject({ failedRequests: 0 })
  })
})
