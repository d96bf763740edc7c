import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { Readable } from 'node:stream'
import { afterAll, describe, expect, it } from 'vitest'
import { inspect, profiles, watch } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import type { AgentOptions } from '../../src/undici/index.js'
import { certificate } from './certificate.js'
import { listen } from './connections.js'
import { hasNetAdmin } from './net-admin.js'
import { until } from './until.js'

type Undici = typeof import('undici')
type Dispatcher = import('undici').Dispatcher
type Ours = typeof import('../../src/undici/index.js')
type Agent = ReturnType<Ours['createAgent']>

interface Abilities {
  /** It tells which connection a request of HTTP/2 gets. */
  readonly hasH2: boolean
  /** Its global dispatcher is that of the fetch built into Node as well. */
  readonly servesNode: boolean
}

/** What must hold with every undici that is supported. */
export function undiciSuite(
  undici: Undici,
  { createAgent, connector }: Ours,
  { hasH2, servesNode }: Abilities = { hasH2: true, servesNode: true },
): void {
  const closing: (() => unknown)[] = []
  afterAll(async () => {
    for (const close of closing) await close()
  })

  interface Site {
    readonly url: string
    readonly peers: net.Socket[]
    /** What has come, by method and path. */
    readonly seen: string[]
    /** The headers that came with it. */
    readonly headers: http.IncomingHttpHeaders[]
  }

  type Server = http.Server | https.Server | http2.Http2SecureServer

  async function site(server: Server = http.createServer()): Promise<Site> {
    const peers: net.Socket[] = []
    const seen: string[] = []
    const headers: http.IncomingHttpHeaders[] = []
    server.on('connection', (peer: net.Socket) => peers.push(peer.on('error', () => {})))
    server.on('session', (session: http2.Http2Session) => session.on('error', () => {}))
    server.on('request', (request: http.IncomingMessage, response: http.ServerResponse) => {
      seen.push(`${request.method} ${request.url}`)
      headers.push(request.headers)
      request.resume().on('end', () => {
        if (request.url === '/last') response.setHeader('connection', 'close')
        if (request.url === '/die') request.socket.destroy()
        else if (request.url === '/reset') request.socket.resetAndDestroy()
        // An acknowledgement takes up to 40 ms.
        else if (request.url === '/reset-later') setTimeout(() => request.socket.resetAndDestroy(), 200)
        else if (request.url !== '/never') response.end('ok')
      })
    })
    const port = await listen(server as http.Server)
    closing.push(() => {
      for (const peer of peers) peer.destroy()
      server.close()
    })
    const protocol = server instanceof http.Server ? 'http' : 'https'
    return { url: `${protocol}://127.0.0.1:${port}`, peers, seen, headers }
  }

  function agent(options: AgentOptions = {}): Agent {
    const made = createAgent({ connections: 1, keepAliveTimeout: 60_000, ...options } as AgentOptions)
    closing.push(() => made.destroy())
    return made
  }

  type Asked = Partial<Parameters<Undici['request']>[1]>

  async function ask(dispatcher: Dispatcher, url: string, options: Asked = {}): Promise<string> {
    const { body } = await undici.request(url, { dispatcher, ...options } as never)
    return body.text()
  }

  /** The connection of this process to a server's end. */
  function otherEnd(peer: net.Socket, sockets: Set<net.Socket>): net.Socket {
    return [...sockets].find((socket) => socket.localPort === peer.remotePort)!
  }

  /** All connections that undici has opened. */
  const opened = new Set<net.Socket>()
  diagnostics.subscribe('undici:client:connected', (message) => {
    opened.add((message as { socket: net.Socket }).socket)
  })

  /** Closes a server's end in the moment before the next request is written to it. */
  function closeBeforeNextRequest(peer: net.Socket, how: 'destroy' | 'resetAndDestroy' = 'destroy'): void {
    const close = () => {
      diagnostics.unsubscribe('undici:client:sendHeaders', close)
      peer[how]()
    }
    diagnostics.subscribe('undici:client:sendHeaders', close)
  }

  const secure = { connect: { rejectUnauthorized: false } }

  describe('connector', () => {
    it('tunes what undici opens, also while it connects', async () => {
      const { url, peers } = await site()
      const own = new undici.Agent({ connect: connector('lan') })
      closing.push(() => own.destroy())
      await ask(own, url)
      expect(inspect(otherEnd(peers[0]!, opened)).profile).toMatchObject(profiles.lan)
    })

    it('wraps a connector of the program, and takes options for one of undici', async () => {
      const { url, peers } = await site()
      const hosts: unknown[] = []
      const build = undici.buildConnector({})
      const own = new undici.Agent({
        connect: connector('lan', (options, callback) => {
          hosts.push(options.hostname)
          build(options, callback)
        }),
      })
      const other = new undici.Client(url, { connect: connector('datacenter', { keepAlive: false }) })
      closing.push(
        () => own.destroy(),
        () => other.destroy(),
      )
      await ask(own, url)
      await (await other.request({ path: '/', method: 'GET' })).body.text()
      expect(hosts).toEqual(['127.0.0.1'])
      expect(inspect(otherEnd(peers[0]!, opened)).profile).toMatchObject(profiles.lan)
      expect(inspect(otherEnd(peers[1]!, opened)).profile).toMatchObject(profiles.datacenter)
    })

    it('throws at once for a bad profile', () => {
      expect(() => connector('cluod' as never)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
      )
      expect(() => createAgent({ profile: { count: 0 } })).toThrow(
        expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }),
      )
      expect(() => createAgent({ watch: { onDead: 'ignore' as never } })).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
      )
    })

    it.each([
      { options: null, field: 'options' },
      { options: 'cloud', field: 'options' },
      { options: { retryStale: 'false' }, field: 'retryStale' },
      { options: { retryStale: null }, field: 'retryStale' },
    ])('throws ERR_INVALID_ARG_TYPE from createAgent($options)', ({ options, field }) => {
      expect(() => createAgent(options as never)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', field }),
      )
    })

    it('passes on the failure of a connection that cannot be opened', async () => {
      await expect(ask(agent(), 'http://127.0.0.1:1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    })
  })

  describe('createAgent', () => {
    it.each([
      { what: 'HTTP', server: () => http.createServer(), options: {} },
      { what: 'HTTPS', server: () => https.createServer(certificate()), options: secure },
      {
        what: 'HTTP/2',
        server: () => http2.createSecureServer(certificate()),
        options: { ...secure, allowH2: true },
      },
    ] as const)('tunes connections and reuses them: $what', async ({ server, options }) => {
      const { url, peers } = await site(server())
      const own = agent(options)
      expect(await ask(own, url)).toBe('ok')
      expect(await ask(own, url)).toBe('ok')
      expect(peers).toHaveLength(1)
      expect(inspect(otherEnd(peers[0]!, opened)).profile).toMatchObject(profiles.cloud)
    })

    it('serves a UNIX socket', async () => {
      const path = `\0deadpeer-undici-${process.pid}-${opened.size}`
      const server = http.createServer((_, response) => response.end('ok')).listen(path)
      await once(server, 'listening')
      closing.push(() => server.close())
      expect(await ask(agent({ connect: { socketPath: path } } as AgentOptions), 'http://localhost')).toBe(
        'ok',
      )
    })

    it('has connections that can be watched', async () => {
      const { url, peers } = await site()
      const watcher = watch()
      closing.push(() => watcher.close())
      await ask(agent({ watch: watcher }), url)
      expect(watcher.has(otherEnd(peers[0]!, opened))).toBe(true)
    })

    it.skipIf(!servesNode)('serves the fetch built into Node, as the global dispatcher', async () => {
      const { url, peers } = await site()
      const before = undici.getGlobalDispatcher()
      undici.setGlobalDispatcher(agent({ profile: 'lan', retryStale: true }))
      expect(await (await fetch(url)).text()).toBe('ok')
      closeBeforeNextRequest(peers[0]!)
      expect(await (await fetch(url)).text()).toBe('ok')
      undici.setGlobalDispatcher(before)
      expect(inspect(otherEnd(peers[1]!, opened)).profile).toMatchObject(profiles.lan)
    })
  })

  describe('the statistics of an agent', () => {
    const none = {
      opened: 0,
      open: 0,
      closedByPeer: 0,
      closedByUs: 0,
      reset: 0,
      timedOut: 0,
      failedToOpen: 0,
      requests: 0,
      reusedRequests: 0,
      reuseRatio: 0,
      staleReusesAvoided: 0,
      staleReuses: 0,
      retried: 0,
      failedRequests: 0,
    }

    /** Once nothing is open any more. */
    async function countsOf(own: Agent): Promise<object> {
      await own.destroy()
      await until(() => own.snapshot().total.open === 0)
      return own.snapshot().total
    }

    it('count requests and reused connections, by origin and in total', async () => {
      const [one, other] = [await site(), await site()]
      const own = agent()
      for (let i = 0; i < 3; i++) await ask(own, one.url)
      await ask(own, other.url)
      const { total, origins } = own.snapshot()
      expect(total).toEqual({ ...none, opened: 2, open: 2, requests: 4, reusedRequests: 2, reuseRatio: 0.5 })
      expect(Object.keys(origins).sort()).toEqual([one.url, other.url].sort())
      expect(origins[one.url]).toMatchObject({ opened: 1, requests: 3, reusedRequests: 2 })
      expect(await countsOf(own)).toMatchObject({ opened: 2, closedByUs: 2 })
    })

    it('count how connections ended', async () => {
      const { url, peers } = await site()
      const own = agent()
      const ended = () => own.snapshot().total
      await ask(own, `${url}/last`)
      await until(() => ended().closedByPeer === 1)
      await ask(own, url)
      peers.at(-1)!.resetAndDestroy()
      await until(() => ended().reset === 1)
      await ask(own, url)
      peers.at(-1)!.end()
      await until(() => ended().closedByPeer === 2)
      await expect(ask(own, 'http://127.0.0.1:1')).rejects.toThrow()
      await until(() => ended().failedToOpen === 1)
      await ask(own, url)
      expect(await countsOf(own)).toEqual({
        ...none,
        opened: 4,
        closedByPeer: 2,
        closedByUs: 1,
        reset: 1,
        failedToOpen: 1,
        requests: 5,
        failedRequests: 1,
      })
    })

    it('count as closed by the server a connection that the server called its last, whoever closes it', async () => {
      // It leaves that to the client.
      const server = net.createServer((peer) => {
        peer
          .on('error', () => {})
          .on('data', () => {
            peer.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
          })
      })
      const port = await listen(server)
      closing.push(() => server.close())
      const own = agent()
      const ended = () => own.snapshot().total
      expect(await ask(own, `http://127.0.0.1:${port}`)).toBe('ok')
      await until(() => ended().open === 0)
      expect(ended()).toMatchObject({ opened: 1, closedByPeer: 1, closedByUs: 0 })
      // To a request that asks for it, it is the answer.
      expect(await ask(own, `http://127.0.0.1:${port}`, { reset: true })).toBe('ok')
      await until(() => ended().open === 0)
      expect(ended()).toMatchObject({ opened: 2, closedByPeer: 1, closedByUs: 1 })
    })

    it.runIf(hasNetAdmin)('count an abandoned connection', async () => {
      const { url, peers } = await site()
      const own = agent({ profile: { initialDelay: 1_000, interval: 1_000, count: 1 } })
      await ask(own, url)
      using _hole = blackHole(peers[0]!)
      await until(() => own.snapshot().total.open === 0)
      expect(own.snapshot().total).toMatchObject({ timedOut: 1, reset: 0, closedByPeer: 0 })
    })

    it('do not count a failed TLS handshake as opened', async () => {
      const { key, cert } = certificate()
      const { url } = await site(https.createServer({ key, cert }))
      const own = agent(secure as AgentOptions)
      await ask(own, url)
      expect(own.snapshot().total).toMatchObject({ opened: 1, requests: 1 })
      const strict = agent()
      await expect(ask(strict, url)).rejects.toThrow()
      await until(() => strict.snapshot().total.failedToOpen === 1)
      expect(await countsOf(strict)).toMatchObject({ opened: 0, failedToOpen: 1, failedRequests: 1 })
    })

    it('count failed requests apart from those that met a dead connection', async () => {
      const { url, peers } = await site()
      const own = agent()
      await expect(ask(own, `${url}/reset`)).rejects.toThrow()
      await ask(own, url)
      await expect(ask(own, `${url}/die`)).rejects.toThrow()
      await ask(own, url)
      closeBeforeNextRequest(peers.at(-1)!)
      await expect(ask(own, url)).rejects.toThrow()
      await ask(own, url)
      expect(own.snapshot().total).toMatchObject({ requests: 6, staleReuses: 1, failedRequests: 2 })
      // The server had it.
      await expect(ask(own, `${url}/reset-later`)).rejects.toThrow()
      expect(own.snapshot().total).toMatchObject({ reusedRequests: 3, staleReuses: 1, failedRequests: 3 })
      await expect(ask(own, url, { signal: AbortSignal.abort() })).rejects.toThrow()
      expect(own.snapshot().total).toMatchObject({ requests: 8, staleReuses: 1, failedRequests: 4 })
    })

    it('count a repeated request once, by the end of the repetition', async () => {
      const { url, peers } = await site()
      const own = agent({ retryStale: true })
      await ask(own, url)
      closeBeforeNextRequest(peers.at(-1)!)
      await ask(own, url)
      expect(own.snapshot().total).toMatchObject({
        requests: 2,
        reusedRequests: 1,
        opened: 2,
        staleReuses: 0,
        retried: 1,
        failedRequests: 0,
      })
      await ask(own, url)
      closeBeforeNextRequest(peers.at(-1)!)
      await expect(ask(own, `${url}/die`)).rejects.toThrow()
      expect(own.snapshot().total).toMatchObject({
        requests: 4,
        staleReuses: 0,
        retried: 2,
        failedRequests: 1,
      })
    })
  })

  describe('the events of an agent on diagnostics_channel', () => {
    const names = ['opened', 'closed', 'stale-reuse', 'retried']
    type Told = Record<string, unknown>

    /** What is told of an agent while something runs. */
    async function toldOf(own: Agent, run: () => Promise<unknown>): Promise<Told[]> {
      const told: Told[] = []
      const hear = (message: unknown, name: string | symbol) => {
        const { agent, ...rest } = message as Told
        if (agent === own) told.push({ name: String(name).replace('deadpeer:http:', ''), ...rest })
      }
      for (const name of names) diagnostics.subscribe(`deadpeer:http:${name}`, hear)
      await run()
      for (const name of names) diagnostics.unsubscribe(`deadpeer:http:${name}`, hear)
      return told
    }

    it.each([
      { retryStale: true, names: ['opened', 'stale-reuse', 'retried', 'opened'] },
      { retryStale: false, names: ['opened', 'stale-reuse'] },
    ])(
      'name a request that met a dead connection (retryStale: $retryStale)',
      async ({ retryStale, names }) => {
        const { url, peers } = await site()
        const own = agent({ retryStale })
        const told = await toldOf(own, async () => {
          await ask(own, url)
          closeBeforeNextRequest(peers[0]!)
          await ask(own, url).catch(() => {})
        })
        const opens = told.filter(({ name }) => name !== 'closed')
        expect(opens.map(({ name }) => name)).toEqual(names)
        const { socket } = opens[0]!
        expect(opens[1]).toEqual({ name: 'stale-reuse', origin: url, socket, avoided: false })
        if (retryStale) expect(opens[2]).toEqual({ name: 'retried', origin: url, socket })
        await until(() => (socket as net.Socket).closed)
      },
    )

    it('name how a connection was closed', async () => {
      const { url, peers } = await site()
      const own = agent()
      const told = await toldOf(own, async () => {
        await ask(own, url)
        peers[0]!.destroy()
        await until(() => own.snapshot().total.closedByPeer === 1)
      })
      expect(told.at(-1)).toMatchObject({ name: 'closed', origin: url, how: 'closedByPeer' })
    })
  })

  describe('an agent behind compose()', () => {
    const passOn = (dispatch: Dispatcher['dispatch']) => (options: never, handler: never) =>
      dispatch(options, handler)

    it('sends, counts and repeats requests', async () => {
      const { url, peers } = await site()
      const composed = agent({ retryStale: true }).compose(passOn)
      expect(await ask(composed, url)).toBe('ok')
      closeBeforeNextRequest(peers[0]!)
      expect(await ask(composed, url)).toBe('ok')
      expect(composed.snapshot().total).toMatchObject({ requests: 2, opened: 2, retried: 1 })
    })

    it('has a snapshot, however often it is composed', async () => {
      const { url } = await site()
      const composed = agent().compose(passOn).compose(passOn).compose([passOn]) as unknown as Agent
      expect(await ask(composed, url)).toBe('ok')
      expect(composed.snapshot().total).toMatchObject({ requests: 1, opened: 1 })
    })

    it.each([
      { verb: 'close', how: 'by a promise', end: (composed: Dispatcher) => composed.close() },
      { verb: 'destroy', how: 'by a promise', end: (composed: Dispatcher) => composed.destroy() },
      {
        verb: 'close',
        how: 'by a callback',
        end: (composed: Dispatcher) => new Promise<void>((done) => composed.close(done)),
      },
      {
        verb: 'destroy',
        how: 'by a callback',
        end: (composed: Dispatcher) => new Promise<void>((done) => composed.destroy(done)),
      },
    ])('ends by $verb, $how', async ({ end }) => {
      const { url } = await site()
      const own = agent()
      const composed = own.compose([passOn])
      expect(await ask(composed, url)).toBe('ok')
      await end(composed)
      await until(() => own.snapshot().total.open === 0)
      await expect(ask(own, url)).rejects.toMatchObject({ code: /^UND_ERR_(CLOSED|DESTROYED)$/ })
    })
  })

  describe("an option that undici's own Agent refuses", () => {
    type Make = (options?: AgentOptions) => Dispatcher
    const refused: { what: string; call: (make: Make) => unknown }[] = [
      { what: 'connect: false', call: (make) => make({ connect: false } as never) },
      { what: "connect: 'x'", call: (make) => make({ connect: 'x' } as never) },
      { what: 'factory: 1', call: (make) => make({ factory: 1 } as never) },
      { what: 'dispatch()', call: (make) => make().dispatch(undefined as never, undefined as never) },
      {
        what: 'dispatch without a handler',
        call: (make) => make().dispatch({ origin: 'http://x', path: '/', method: 'GET' }, undefined as never),
      },
      {
        what: 'dispatch with a handler that has no methods',
        call: (make) => make().dispatch({ origin: 'http://x', path: '/', method: 'GET' }, {} as never),
      },
      { what: 'dispatch without options', call: (make) => make().dispatch(undefined as never, {} as never) },
      {
        what: 'dispatch without an origin',
        call: (make) => make().dispatch({ path: '/', method: 'GET' } as never, {} as never),
      },
    ]

    const outcome = (make: Make, call: (make: Make) => unknown) => {
      try {
        return { returns: call(make) }
      } catch (error) {
        const { name, code, message } = error as Error & { code?: string }
        return { name, code, message }
      }
    }

    it.each(refused)('is refused alike: $what', ({ call }) => {
      const theirs = outcome((options) => new undici.Agent(options), call)
      expect(theirs).toMatchObject({ name: 'InvalidArgumentError' })
      expect(outcome((options) => createAgent(options), call)).toEqual(theirs)
    })
  })

  describe('a request that meets a dead connection', () => {
    /** An agent that has a connection, which is closed before the next request is written. */
    async function stale(options: AgentOptions = {}, how?: 'destroy' | 'resetAndDestroy') {
      const here = await site()
      const own = agent({ retryStale: true, ...options })
      await ask(own, `${here.url}/first`)
      closeBeforeNextRequest(here.peers[0]!, how)
      return { ...here, own }
    }

    it('fails without retryStale', async () => {
      const { own, url } = await stale({ retryStale: false })
      await expect(ask(own, url)).rejects.toThrow()
    })

    it.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'] as const)(
      'is repeated with the method %s',
      async (method) => {
        const { own, url, seen, peers } = await stale()
        const body = method === 'PUT' ? { body: 'some' } : {}
        expect(await ask(own, `${url}/it`, { method, ...body } as Asked)).toBe(method === 'HEAD' ? '' : 'ok')
        expect(seen).toEqual(['GET /first', `${method} /it`])
        expect(peers).toHaveLength(2)
      },
    )

    it('is repeated after a reset too', async () => {
      const { own, url } = await stale({}, 'resetAndDestroy')
      expect(await ask(own, url)).toBe('ok')
    })

    it('is repeated on a tuned connection', async () => {
      const { own, url, seen, peers } = await stale()
      ask(own, `${url}/never`).catch(() => {})
      await until(() => seen.includes('GET /never'))
      expect(inspect(otherEnd(peers[1]!, opened)).profile).toMatchObject(profiles.cloud)
    })

    it.each([
      { what: 'as an object', headers: { 'Idempotency-Key': 'a' } },
      { what: 'in turns', headers: ['x-one', 'idempotency-key', 'IDEMPOTENCY-KEY', 'a'] },
      { what: 'as pairs', headers: new Map([['idempotency-key', 'a']]) },
    ])('is repeated as a POST with a key: $what', async ({ headers }) => {
      const { own, url, seen } = await stale()
      expect(await ask(own, `${url}/it`, { method: 'POST', body: 'some', headers } as Asked)).toBe('ok')
      expect(seen).toEqual(['GET /first', 'POST /it'])
    })

    it.each([
      { what: 'a POST without a key', options: { method: 'POST', body: 'some' } },
      { what: 'a PATCH', options: { method: 'PATCH', body: 'some' } },
      {
        what: 'a key that is but a value',
        options: { method: 'POST', headers: ['x-one', 'idempotency-key'] },
      },
      { what: 'a POST with an empty key', options: { method: 'POST', headers: { 'idempotency-key': '' } } },
      { what: 'a POST with a blank key', options: { method: 'POST', headers: ['Idempotency-Key', ' '] } },
      {
        what: 'a POST with an empty key in quotes',
        options: { method: 'POST', headers: new Map([['idempotency-key', '""']]) },
      },
      {
        what: 'a POST with a key of null',
        options: { method: 'POST', headers: { 'idempotency-key': null } },
      },
      {
        what: 'a POST with a key and an empty one',
        options: { method: 'POST', headers: { 'idempotency-key': ['a', ''] } },
      },
      { what: 'a body that is read once', options: { method: 'PUT', body: Readable.from(['some']) } },
      { what: 'what is said not to be idempotent', options: { method: 'GET', idempotent: false } },
    ])('is not repeated as $what', async ({ options }) => {
      const { own, url, seen } = await stale()
      await expect(ask(own, `${url}/it`, options as Asked)).rejects.toThrow()
      expect(seen).toEqual(['GET /first'])
    })

    it.each([
      { what: 'entries of a Headers object', make: () => new Headers({ 'x-one': 'a' }).entries() },
      { what: 'entries of a Map', make: () => new Map([['x-one', 'a']]).entries() },
      {
        what: 'a generator',
        make: () =>
          (function* () {
            yield ['x-one', 'a']
          })(),
      },
      {
        what: 'an object that can be iterated once',
        make: () => {
          const entries = new Map([['x-one', 'a']]).entries()
          return { [Symbol.iterator]: () => entries }
        },
      },
    ])('is sent with its headers, and not repeated: headers are $what', async ({ make }) => {
      const { url, peers, seen, headers } = await site()
      const own = agent({ retryStale: true })
      await ask(own, `${url}/first`, { method: 'POST', headers: make() } as never)
      expect(headers.at(-1)).toMatchObject({ 'x-one': 'a' })
      closeBeforeNextRequest(peers[0]!)
      await expect(ask(own, `${url}/it`, { headers: make() } as never)).rejects.toThrow()
      expect(seen).toEqual(['POST /first'])
    })

    it.each([
      { what: 'an object', headers: { 'x-one': 'a' } },
      { what: 'a Headers object of Node', headers: new Headers({ 'x-one': 'a' }) },
      { what: 'a Headers object of undici', headers: new undici.Headers({ 'x-one': 'a' }) },
      { what: 'a Map', headers: new Map([['x-one', 'a']]) },
      { what: 'an array', headers: ['x-one', 'a'] },
    ])('is repeated with the same headers: $what', async ({ headers }) => {
      const { own, url, headers: came } = await stale()
      expect(await ask(own, `${url}/it`, { headers } as never)).toBe('ok')
      expect(came.at(-1)).toMatchObject({ 'x-one': 'a' })
    })

    it('is repeated under a RetryAgent as well', async () => {
      const { own, url, seen } = await stale()
      const retry = new undici.RetryAgent(own as never, { maxRetries: 0 })
      expect(await ask(retry, `${url}/it`)).toBe('ok')
      expect(seen).toEqual(['GET /first', 'GET /it'])
      expect(own.snapshot().total.retried).toBe(1)
    })

    it('is repeated once: a failure on the fresh connection is told', async () => {
      const { own, url, seen } = await stale()
      await expect(ask(own, `${url}/die`)).rejects.toThrow()
      expect(seen).toEqual(['GET /first', 'GET /die'])
    })

    it('is not one on a connection that was never used before', async () => {
      const { url, seen } = await site()
      await expect(ask(agent({ retryStale: true }), `${url}/reset`)).rejects.toThrow()
      expect(seen).toEqual(['GET /reset'])
    })

    it('is not one that a server has read before it died', async () => {
      const { url, seen } = await site()
      const own = agent({ retryStale: true })
      await ask(own, `${url}/first`)
      await expect(ask(own, `${url}/die`)).rejects.toThrow()
      expect(seen).toEqual(['GET /first', 'GET /die'])
    })

    it('can be called off while it is repeated', async () => {
      const { own, url, seen } = await stale()
      const controller = new AbortController()
      const asked = ask(own, `${url}/never`, { signal: controller.signal })
      asked.catch(() => {})
      await until(() => seen.includes('GET /never'))
      controller.abort()
      await expect(asked).rejects.toMatchObject({ name: 'AbortError' })
    })

    it('leaves nothing behind if it is aborted before it is written', async () => {
      const { url, seen } = await site()
      const own = agent({ retryStale: true })
      await ask(own, url)
      await expect(ask(own, url, { signal: AbortSignal.abort() })).rejects.toMatchObject({
        name: 'AbortError',
      })
      expect(await ask(own, url)).toBe('ok')
      expect(seen).toHaveLength(2)
    })

    it('delays close until it is repeated, but not destroy', async () => {
      const { own, url } = await stale()
      const asked = ask(own, url)
      await own.close()
      expect(await asked).toBe('ok')
      const other = await stale()
      const never = ask(other.own, `${other.url}/never`)
      never.catch(() => {})
      await until(() => other.seen.includes('GET /never'))
      await other.own.destroy()
      await expect(never).rejects.toThrow()
    })

    it('fails with the error that the agent is destroyed with while it is repeated', async () => {
      const { own, url, seen } = await stale()
      const asked = ask(own, `${url}/never`)
      asked.catch(() => {})
      await until(() => seen.includes('GET /never'))
      const error = new Error('of the program')
      await own.destroy(error)
      await expect(asked).rejects.toBe(error)
    })

    it.skipIf(!hasNetAdmin).each([
      { what: 'as the kernel does', options: {} },
      { what: 'as a watcher does', options: { watch: true } },
    ])('is repeated if the request itself found the death, $what', async ({ options }) => {
      const profile = { initialDelay: 60_000, interval: 60_000, count: 9, userTimeout: 500 }
      const here = await site()
      const own = agent({ retryStale: true, profile, ...options })
      await ask(own, here.url)
      blackHole(here.peers[0]!)
      expect(await ask(own, here.url)).toBe('ok')
      expect(here.peers).toHaveLength(2)
    })

    it.skipIf(!hasH2)('is repeated over HTTP/2 as well', async () => {
      const here = await site(http2.createSecureServer(certificate()))
      const own = agent({ retryStale: true, allowH2: true, ...secure })
      await ask(own, `${here.url}/first`)
      closeBeforeNextRequest(here.peers[0]!)
      expect(await ask(own, `${here.url}/it`)).toBe('ok')
      closeBeforeNextRequest(here.peers[0]!)
      expect(here.seen).toEqual(['GET /first', 'GET /it'])
    })

    it.skipIf(!hasH2 || !hasNetAdmin)(
      'is repeated over HTTP/2 if the request itself found the death',
      async () => {
        const profile = { initialDelay: 60_000, interval: 60_000, count: 9, userTimeout: 500 }
        const here = await site(http2.createSecureServer(certificate()))
        const own = agent({ retryStale: true, allowH2: true, profile, ...secure })
        await ask(own, here.url)
        blackHole(here.peers[0]!)
        expect(await ask(own, here.url)).toBe('ok')
        expect(here.peers).toHaveLength(2)
      },
    )
  })
}
