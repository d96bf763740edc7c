import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { text } from 'node:stream/consumers'
import axios from 'axios'
import got from 'got'
import { afterAll, describe, expect, it } from 'vitest'
import { HttpAgent, isStaleReuse, type RetryStaleOptions, retryStale } from '../../src/http/index.js'
import { blackHole } from '../../src/testing/index.js'
import { createAgent } from '../../src/undici/index.js'
import { listen } from '../support/connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { until } from '../support/until.js'

const closing: (() => void)[] = []
afterAll(() => {
  for (const close of closing) close()
})

interface Site {
  readonly url: string
  /** The server's ends, the newest last. */
  readonly peers: net.Socket[]
  /** What has come, by method and path. */
  readonly seen: string[]
}

/** A server that keeps its connections. */
async function site(): Promise<Site> {
  const peers: net.Socket[] = []
  const seen: string[] = []
  const server = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    if (request.url === '/die') request.socket.destroy()
    // An acknowledgement takes up to 40 ms.
    else if (request.url === '/reset-later') setTimeout(() => request.socket.resetAndDestroy(), 200)
    else if (request.url === '/half') {
      response.writeHead(200, { 'content-length': 100 })
      response.write('half', () => request.socket.resetAndDestroy())
    } else request.resume().on('end', () => response.end('ok'))
  })
  server.keepAliveTimeout = 0
  server.on('connection', (peer) => peers.push(peer.on('error', () => {})))
  const port = await listen(server)
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${port}`, peers, seen }
}

interface Reusing extends http.Agent {
  reuseSocket(...args: unknown[]): void
}

/** Closes a server's end when the next request has been given the connection, before anything of it is written. */
function closeBeforeNextRequest(given: http.Agent, peer: net.Socket): void {
  const agent = given as Reusing
  const { reuseSocket } = agent
  agent.reuseSocket = (...args) => {
    agent.reuseSocket = reuseSocket
    peer.destroy()
    reuseSocket.apply(agent, args)
  }
}

type Send = (url: string, method?: string) => Promise<unknown>

/** How programs send requests, over one agent. */
const clients: { client: string; make: (agent: http.Agent) => Send }[] = [
  {
    client: 'axios',
    make: (httpAgent) => async (url, method) =>
      (await axios.request({ url, method: method!, httpAgent })).data,
  },
  {
    client: 'axios without redirects',
    make: (httpAgent) => async (url, method) =>
      (await axios.request({ url, method: method!, httpAgent, maxRedirects: 0 })).data,
  },
  {
    client: 'got',
    make: (agent) => async (url, method) =>
      (await got(url, { method: method as 'GET', agent: { http: agent }, retry: { limit: 0 } })).body,
  },
  // As the AWS SDK does.
  {
    client: 'an SDK that passes on the error alone',
    make: (agent) => (url, method) => plain(agent, url, method),
  },
  {
    client: 'an SDK that wraps the error',
    make: (agent) => (url, method) =>
      plain(agent, url, method).catch((cause) => {
        throw new Error('The request failed', { cause })
      }),
  },
]

async function plain(agent: http.Agent, url: string, method = 'GET'): Promise<string> {
  const request = http.request(url, { method, agent }).end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  // Since Node 24 the request fails as well as its response when an answer breaks off.
  request.on('error', () => {})
  return text(response)
}

function httpAgent(): HttpAgent {
  const agent = new HttpAgent({ freeSocketTimeout: 0 })
  closing.push(() => agent.destroy())
  return agent
}

/** Until a connection is kept for the next request. */
const isIdle = (agent: http.Agent) => until(() => Object.keys(agent.freeSockets).length === 1)

/** A client with a connection that the server closes just before the next request. */
async function stale(make: (agent: http.Agent) => Send, agent: http.Agent = httpAgent()) {
  const here = await site()
  const send = make(agent)
  await send(`${here.url}/first`, 'GET')
  await isIdle(agent)
  closeBeforeNextRequest(agent, here.peers[0]!)
  return { ...here, agent, send }
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'ok',
    (error) => error,
  )

describe('isStaleReuse without a request', () => {
  it.each(clients)(
    'is true for a connection that was already closed, by the error of $client',
    async ({ make }) => {
      const { send, url } = await stale(make)
      expect(isStaleReuse(await failureOf(send(url)))).toBe(true)
    },
  )

  it.each(clients)(
    'is false for a server that reads the request and dies, by the error of $client',
    async ({ make }) => {
      const { url } = await site()
      const agent = httpAgent()
      const send = make(agent)
      await send(url, 'GET')
      await isIdle(agent)
      const error = await failureOf(send(`${url}/die`, 'GET'))
      expect(error).toBeInstanceOf(Error)
      expect(isStaleReuse(error)).toBe(false)
    },
  )

  it.each(clients)('is false for a response that breaks off, by the error of $client', async ({ make }) => {
    const { url } = await site()
    const agent = httpAgent()
    const send = make(agent)
    await send(url, 'GET')
    await isIdle(agent)
    const error = await failureOf(send(`${url}/half`, 'GET'))
    expect(error).toBeInstanceOf(Error)
    expect(isStaleReuse(error)).toBe(false)
  })

  it.each(clients.slice(0, 3))('accepts the request that $client wraps', async ({ make }) => {
    const { send, url } = await stale(make)
    const error = (await failureOf(send(url))) as { request: object }
    expect(isStaleReuse(error, error.request)).toBe(true)
    expect(isStaleReuse(new Error('another'), error.request)).toBe(false)
  })

  it.each(clients.slice(0, 3))(
    "judges a request of Node's own agent if the error has it: $client",
    async ({ make }) => {
      const agent = new http.Agent({ keepAlive: true })
      closing.push(() => agent.destroy())
      const { send, url } = await stale(make, agent)
      expect(isStaleReuse(await failureOf(send(url)))).toBe(true)
      await send(url, 'GET')
      await isIdle(agent)
      expect(isStaleReuse(await failureOf(send(`${url}/half`, 'GET')))).toBe(false)
    },
  )

  it('judges the errors of undici as well', async () => {
    const { url, peers } = await site()
    const dispatcher = createAgent({ connections: 1 })
    closing.push(() => void dispatcher.destroy())
    const { request } = await import('undici')
    const post = async (path: string) =>
      (await request(`${url}${path}`, { dispatcher, method: 'POST' })).body.text()
    await post('/')
    const close = () => {
      diagnostics.unsubscribe('undici:client:sendHeaders', close)
      peers[0]!.destroy()
    }
    diagnostics.subscribe('undici:client:sendHeaders', close)
    expect(isStaleReuse(await failureOf(post('/')))).toBe(true)
    await post('/')
    expect(isStaleReuse(await failureOf(post('/die')))).toBe(false)
  })

  const broken = (name: string) =>
    Object.defineProperty(new Error('x'), name, {
      get() {
        throw new Error(`${name} is broken`)
      },
    })
  const allTraps = () =>
    new Proxy(
      {},
      new Proxy(
        {},
        {
          get: () => () => {
            throw new Error('trapped')
          },
        },
      ),
    )
  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  }

  it.each<{ what: string; error: unknown; request?: unknown }>([
    { what: 'an error whose code throws', error: broken('code') },
    { what: 'an error whose errno throws', error: broken('errno') },
    { what: 'an error whose cause throws', error: broken('cause') },
    { what: 'an error whose request throws', error: broken('request') },
    { what: 'a request that throws', error: new Error('x'), request: broken('res') },
    { what: 'a proxy that throws', error: allTraps(), request: allTraps() },
    { what: 'a revoked proxy', error: revoked(), request: revoked() },
  ])('is false for $what, and retryStale passes it on', async ({ error, request }) => {
    expect(isStaleReuse(error, request as never)).toBe(false)
    let calls = 0
    const send = () => {
      calls++
      throw error
    }
    const passedOn = await retryStale(send, { method: 'GET' }).then(
      () => 'returned',
      (thrown) => [Object.is(thrown, error)],
    )
    expect([calls, passedOn]).toEqual([1, [true]])
  })

  it('is false for an error whose getter throws, and the agent does not call the getter', async () => {
    const { url } = await site()
    const agent = httpAgent()
    await plain(agent, `${url}/first`)
    await isIdle(agent)
    const error = broken('errno')
    const request = http.get(`${url}/it`, { agent })
    const failed = once(request, 'error').catch((thrown) => [thrown])
    await once(request, 'socket')
    request.destroy(error)
    expect((await failed)[0]).toBe(error)
    expect(isStaleReuse(error, request)).toBe(false)
  })

  const cycle = new Error('one')
  cycle.cause = cycle
  it.each<{ what: string; error: unknown; request?: unknown }>([
    { what: 'nothing', error: undefined },
    { what: 'null', error: null, request: null },
    { what: 'a text', error: 'ECONNRESET', request: 'GET' },
    { what: 'a number as a request', error: new Error('x'), request: 1 },
    { what: 'an error of an SDK', error: Object.assign(new Error('x'), { code: 'ECONNRESET', errno: -104 }) },
    { what: 'an empty request', error: new Error('x'), request: {} },
    { what: 'an error with a request that is null', error: { request: null } },
    { what: 'a cause that is a cycle', error: cycle },
  ])('is false for $what, and does not throw', ({ error, request }) => {
    expect(isStaleReuse(error, request as never)).toBe(false)
  })
})

describe('retryStale', () => {
  it.each(clients)(
    'repeats a request of $client on a connection that was already closed',
    async ({ make }) => {
      const { agent, send, url, seen, peers } = await stale(make)
      expect(await retryStale(() => send(`${url}/it`, 'GET'), { method: 'GET' })).toBe('ok')
      expect(seen).toEqual(['GET /first', 'GET /it'])
      expect(peers).toHaveLength(2)
      const counts = (agent as HttpAgent).snapshot().total
      expect(counts).toMatchObject({ requests: 3, staleReuses: 1, retried: 1, failedRequests: 0 })
    },
  )

  const [{ make: makeAxios }] = clients as [(typeof clients)[0]]

  it.each<RetryStaleOptions & { sent: string }>([
    { sent: 'GET', method: 'GET' },
    { sent: 'GET', method: 'get' },
    { sent: 'HEAD', method: 'HEAD' },
    { sent: 'OPTIONS', method: 'OPTIONS' },
    { sent: 'PUT', method: 'PUT' },
    { sent: 'DELETE', method: 'DELETE' },
    { sent: 'POST', method: 'POST', idempotencyKey: 'a' },
    { sent: 'POST', idempotencyKey: 'a' },
    { sent: 'PATCH', method: 'PATCH', idempotencyKey: 'a' },
  ])('repeats an idempotent request: %j', async ({ sent, ...options }) => {
    const { send, url, seen } = await stale(makeAxios)
    await retryStale(() => send(`${url}/it`, sent), options)
    expect(seen).toEqual(['GET /first', `${sent} /it`])
  })

  it.each<RetryStaleOptions & { sent: string }>([
    { sent: 'POST', method: 'POST' },
    { sent: 'PATCH', method: 'PATCH' },
    { sent: 'POST', method: 'POST', idempotencyKey: undefined },
    { sent: 'QUERY', method: 'QUERY' },
  ])('does not repeat a request that is not idempotent: %j', async ({ sent, ...options }) => {
    const { agent, send, url, seen } = await stale(makeAxios)
    await expect(retryStale(() => send(`${url}/it`, sent), options)).rejects.toThrow()
    expect(seen).toEqual(['GET /first'])
    expect((agent as HttpAgent).snapshot().total.retried).toBe(0)
  })

  it('does not repeat a request that a server has read before it died', async () => {
    const { url, seen } = await site()
    const agent = httpAgent()
    await plain(agent, `${url}/first`)
    await isIdle(agent)
    await expect(retryStale(() => plain(agent, `${url}/die`), { method: 'GET' })).rejects.toThrow()
    expect(seen).toEqual(['GET /first', 'GET /die'])
  })

  it('repeats an idempotent request after a reset, also if the request was acknowledged', async () => {
    const { url, seen } = await site()
    const agent = httpAgent()
    await plain(agent, `${url}/first`)
    await isIdle(agent)
    const send = () => plain(agent, `${url}/reset-later`)
    await expect(retryStale(send, { method: 'GET' })).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(seen).toEqual(['GET /first', 'GET /reset-later', 'GET /reset-later'])
  })

  it('does not repeat a request on a fresh connection', async () => {
    const { url, seen } = await site()
    const send = () => plain(httpAgent(), `${url}/die`)
    await expect(retryStale(send, { method: 'GET' })).rejects.toThrow()
    expect(seen).toEqual(['GET /die'])
  })

  it('repeats only once, and rejects with the error of the second request', async () => {
    const { agent, url, seen } = await stale((agent) => (at) => plain(agent, at))
    await expect(retryStale(() => plain(agent, `${url}/die`), { method: 'GET' })).rejects.toThrow()
    expect(seen).toEqual(['GET /first', 'GET /die'])
  })

  it.skipIf(!hasNetAdmin)(
    'repeats on a new connection when the peers of all idle connections are silent',
    async () => {
      const { url, peers } = await site()
      const agent = new HttpAgent({
        freeSocketTimeout: 0,
        profile: { initialDelay: 60_000, interval: 60_000, count: 9, userTimeout: 500 },
      })
      closing.push(() => agent.destroy())
      await Promise.all([1, 2, 3].map((i) => plain(agent, `${url}/${i}`)))
      await until(() => Object.values(agent.freeSockets).flat().length === 3)
      for (const peer of [...peers]) blackHole(peer)
      expect(await retryStale(() => plain(agent, url), { method: 'GET' })).toBe('ok')
      expect(peers).toHaveLength(4)
      expect(agent.snapshot().total).toMatchObject({ retried: 1, staleReuses: 1 })
    },
  )

  it('publishes each repetition on diagnostics_channel', async () => {
    const { agent, url } = await stale((agent) => (at) => plain(agent, at))
    const told: unknown[] = []
    const hear = (message: unknown) => told.push(message)
    diagnostics.subscribe('deadpeer:http:retried', hear)
    await retryStale(() => plain(agent, url), { method: 'GET' })
    diagnostics.unsubscribe('deadpeer:http:retried', hear)
    expect(told).toEqual([
      { agent, origin: url, socket: expect.anything(), request: expect.any(http.ClientRequest) },
    ])
  })

  it('resolves with the result of send, and rejects with its other errors', async () => {
    expect(await retryStale(() => 1, { method: 'GET' })).toBe(1)
    const error = new Error('anything')
    let calls = 0
    const fail = () => {
      calls++
      throw error
    }
    await expect(retryStale(fail, { method: 'GET' })).rejects.toBe(error)
    expect(calls).toBe(1)
  })

  it.each<{ what: string; args: unknown[]; field: string }>([
    { what: 'a promise for send', args: [Promise.resolve(), { method: 'GET' }], field: 'send' },
    { what: 'no options', args: [() => 1], field: 'options' },
    { what: 'no method and no key', args: [() => 1, {}], field: 'method' },
    { what: 'a method that is not a string', args: [() => 1, { method: 1 }], field: 'method' },
    { what: 'an empty method', args: [() => 1, { method: '' }], field: 'method' },
    { what: 'true as a key', args: [() => 1, { idempotencyKey: true }], field: 'idempotencyKey' },
    {
      what: 'an empty key',
      args: [() => 1, { method: 'POST', idempotencyKey: '' }],
      field: 'idempotencyKey',
    },
    {
      what: 'a blank key',
      args: [() => 1, { method: 'POST', idempotencyKey: ' \t' }],
      field: 'idempotencyKey',
    },
    {
      what: 'an empty key in quotes',
      args: [() => 1, { method: 'POST', idempotencyKey: '""' }],
      field: 'idempotencyKey',
    },
    {
      what: 'null as a key',
      args: [() => 1, { method: 'POST', idempotencyKey: null }],
      field: 'idempotencyKey',
    },
  ])('refuses $what, before anything is sent', async ({ args, field }) => {
    await expect(retryStale(...(args as [never, never]))).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      field,
    })
  })
})
