import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import { createRequire } from 'node:module'
import type net from 'node:net'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { afterAll, describe, expect, it } from 'vitest'
import { HttpsAgent } from '../../src/http/index.js'
import { detectionTime, inspect, tune } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { listen } from '../support/connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { latest } from '../support/tolerance.js'
import { until } from '../support/until.js'

// A proxy that accepts a connection and vanishes before it has answered CONNECT.

const hpagent = createRequire(import.meta.url)('hpagent') as {
  HttpsProxyAgent: new (options: { proxy: string; keepAlive?: boolean }) => https.Agent
}
const profile = { initialDelay: 1_000, interval: 1_000, count: 2, userTimeout: 3_000 }

const closing: (() => void)[] = []
afterAll(() => {
  for (const close of closing) close()
})

/** A proxy that says nothing to CONNECT. */
async function silentProxy() {
  const proxy = http.createServer()
  const asked = once(proxy, 'connect') as Promise<[http.IncomingMessage, net.Socket]>
  const port = await listen(proxy)
  closing.push(() => proxy.close())
  return { url: `http://127.0.0.1:${port}`, port, asked }
}

/** Opens the tunnel itself, as agents of programs do. */
class OwnTunnelAgent extends HttpsAgent {
  readonly proxy: number
  constructor(proxy: number) {
    super({ profile })
    this.proxy = proxy
  }

  override createConnection(...args: Parameters<https.Agent['createConnection']>) {
    const callback = args[1] as unknown as (error: Error | null, socket?: net.Socket) => void
    const asking = http.request({ port: this.proxy, host: '127.0.0.1', method: 'CONNECT', path: 'far:443' })
    asking.on('connect', (_response, socket) => callback(null, socket))
    asking.on('error', (error) => callback(error)).end()
    return undefined
  }
}

const agents: Record<string, (proxy: { url: string; port: number }) => http.Agent> = {
  'https-proxy-agent': ({ url }) => {
    const agent = new HttpsProxyAgent(url)
    tune(agent, profile)
    return agent
  },
  hpagent: ({ url }) => {
    const agent = new hpagent.HttpsProxyAgent({ proxy: url })
    tune(agent, profile)
    return agent
  },
  'a subclass of HttpsAgent': ({ port }) => new OwnTunnelAgent(port),
}

describe.runIf(hasNetAdmin)('a proxy that vanishes before it has answered CONNECT', () => {
  it.concurrent.each(Object.keys(agents))('fails the request within the predicted time: %s', async (name) => {
    const proxy = await silentProxy()
    const request = https.get('https://far/', { agent: agents[name]!(proxy) })
    const failed = once(request, 'error').catch((error: Error) => [error])
    const [, peer] = await proxy.asked
    await until(() => inspect(peer).info!.unacked === 0)
    const start = performance.now()
    blackHole(peer)
    const [error] = (await failed) as [NodeJS.ErrnoException]
    expect(String(error.code ?? error.message)).toMatch(/ETIMEDOUT|ECONNRESET/)
    expect(performance.now() - start).toBeLessThan(latest(detectionTime(profile).idle))
  })
})
