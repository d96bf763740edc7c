import http from 'node:http'
import type net from 'node:net'
import { afterAll, expect, it } from 'vitest'
import { inspect } from '../../src/index.js'
import { listen } from '../loopback/connections.js'
import { hasNetAdmin } from '../loopback/need-net-admin.js'
import { latest, timed } from '../tolerance.js'
import { QUICK, removeExamples, runExample } from './guide.js'
import { silence } from './silence.js'

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

function expectInTime(after: number): void {
  expect(after).toBeGreaterThan(500)
  if (timed) expect(after).toBeLessThan(latest(2_000))
}

it.skipIf(!hasNetAdmin)('axios with HttpAgent', async () => {
  const { client, httpAgent } = await runExample(
    'HTTP: http.request, axios, got, AWS SDK',
    'client',
    'httpAgent',
  )
  expect((await client.get(url)).data).toBe('ok')
  const [free] = Object.values(httpAgent.freeSockets as Record<string, net.Socket[]>)[0]!
  expect(inspect(free!).profile).toMatchObject(QUICK)
  const { error, after } = await vanishUnder(client.get(`${url}/never`))
  expect(error).toMatchObject({ code: 'ETIMEDOUT' })
  expectInTime(after)
  expect((await client.get(url)).data).toBe('ok')
  expect(httpAgent.snapshot().total).toMatchObject({ timedOut: 1, failedRequests: 1, opened: 2 })
  httpAgent.destroy()
})

it.skipIf(!hasNetAdmin)('the fetch built into Node, with an agent of undici', async () => {
  const { agent } = await runExample('undici and fetch', 'agent')
  expect(await (await fetch(url)).text()).toBe('ok')
  const { error, after } = await vanishUnder(fetch(`${url}/never`))
  expect(error).toMatchObject({ cause: { code: 'ETIMEDOUT' } })
  expectInTime(after)
  expect(await (await fetch(url)).text()).toBe('ok')
  await agent.destroy()
})
