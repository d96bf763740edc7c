import http from 'node:http'
import type net from 'node:net'
import { RetryAgent } from 'undici'
import { afterAll, expect, it, onTestFinished } from 'vitest'
import { detectionTime, inspect } from '../../src/index.js'
import { createAgent } from '../../src/undici/index.js'
import { listen } from '../support/connections.js'
import { expectInTime, importExample, QUICK, removeExamples } from '../support/guide-examples.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { silence } from '../support/silent-server.js'
import { until } from '../support/until.js'

// The guide's HTTP clients. Their server vanishes while they wait for an answer: told in time, and the next request works.

const peers: net.Socket[] = []
const server = http.createServer((request, response) => {
  if (request.url !== '/never') response.end('ok')
})
server.keepAliveTimeout = 60_000
server.on('connection', (peer) => peers.push(peer))
const port = await listen(server)
const url = `http://127.0.0.1:${port}`
afterAll(() => {
  for (const peer of peers) peer.destroy()
  server.close()
  removeExamples()
})

/** The connection that asks for what never comes. */
async function vanishUnder(asked: Promise<unknown>): Promise<{ error: unknown; after: number }> {
  const failed = asked.then(
    () => undefined,
    (error: unknown) => error,
  )
  const [request] = await new Promise<[http.IncomingMessage]>((resolve) => {
    server.once('request', (...args) => resolve([args[0]]))
  })
  await silence(port, request.socket.remotePort!)
  const start = performance.now()
  return { error: await failed, after: performance.now() - start }
}

it.skipIf(!hasNetAdmin)(
  'fails an axios request with HttpAgent in time when the server goes silent, and the next request works',
  async () => {
    const { client, httpAgent } = await importExample(
      { heading: 'HTTP: http.request, axios, got, AWS SDK' },
      'client',
      'httpAgent',
    )
    expect((await client.get(url)).data).toBe('ok')
    const [free] = Object.values(httpAgent.freeSockets as Record<string, net.Socket[]>)[0]!
    expect(inspect(free!).profile).toMatchObject(QUICK)
    const { error, after } = await vanishUnder(client.get(`${url}/never`))
    expect(error).toMatchObject({ code: 'ETIMEDOUT' })
    expectInTime(after, detectionTime(QUICK).idle)
    expect((await client.get(url)).data).toBe('ok')
    expect(httpAgent.snapshot().total).toMatchObject({ timedOut: 1, failedRequests: 1, opened: 2 })
    httpAgent.destroy()
  },
)

it.skipIf(!hasNetAdmin)(
  "fails Node's fetch with an undici agent in time when the server goes silent, and the next fetch works",
  async () => {
    const { agent } = await importExample({ heading: 'undici and fetch' }, 'agent')
    expect(await (await fetch(url)).text()).toBe('ok')
    const { error, after } = await vanishUnder(fetch(`${url}/never`))
    expect(error).toMatchObject({ cause: { code: 'ETIMEDOUT' } })
    expectInTime(after, detectionTime(QUICK).idle)
    expect(await (await fetch(url)).text()).toBe('ok')
    await agent.destroy()
  },
)

it.skipIf(!hasNetAdmin)(
  "repeats a request whose connection died under undici's RetryAgent, given the codes of the guide",
  async () => {
    const { retrying } = await importExample({ heading: 'undici and fetch', index: 1 }, 'retrying')
    expect(await outcome(retrying)).toMatchObject({ answer: 'again' })
    expect(await outcome(new RetryAgent(createAgent({ profile: QUICK })))).toMatchObject({
      error: { code: 'ETIMEDOUT' },
    })
  },
)

/** The first request is on a connection that goes silent, the second is answered. */
async function outcome(agent: RetryAgent): Promise<{ answer?: string; error?: unknown; after: number }> {
  const requested: http.IncomingMessage[] = []
  const twice = http.createServer((request, response) => {
    requested.push(request)
    if (requested.length === 2) response.end('again')
  })
  const port = await listen(twice)
  onTestFinished(async () => {
    twice.closeAllConnections()
    twice.close()
    await agent.destroy()
  })
  const asked = agent.request({ origin: `http://127.0.0.1:${port}`, path: '/', method: 'GET' })
  const answered = asked
    .then(({ body }) => body.text())
    .then(
      (answer) => ({ answer }),
      (error: unknown) => ({ error }),
    )
  await until(() => requested.length === 1)
  await silence(port, requested[0]!.socket.remotePort!)
  const start = performance.now()
  return { ...(await answered), after: performance.now() - start }
}
