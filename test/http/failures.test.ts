import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { describe, expect, it } from 'vitest'
import { audit, type Finding, type OwnHop, plan } from '../../src/path/index.js'
import { LatePath } from '../support/delayed-close-proxy.js'
import { hasNginx, startNginx } from '../support/http-servers.js'

// What operations guides tell of, with nginx for the load balancer and all times a fifteenth of those that they name; found by
// audit, and gone once the plan is followed.

const scaled = (ms: number) => Math.round(ms / 15)

/** An origin for the time of a test, with these timeouts. */
async function withOrigin<T>(
  options: http.ServerOptions,
  use: (server: http.Server, port: number) => Promise<T>,
): Promise<T> {
  const server = http.createServer(options, (request, response) => {
    request.resume().on('end', () => response.end('hello'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    return await use(server, (server.address() as net.AddressInfo).port)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

/** The status of an answer, or the code of an error. */
async function ask(port: number, agent: http.Agent | undefined, method = 'GET'): Promise<number | string> {
  const request = http.request({ port, host: '127.0.0.1', agent: agent ?? false, method })
  request.end(method === 'POST' ? 'order' : undefined)
  try {
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    response.resume()
    await once(response, 'end')
    return response.statusCode!
  } catch (error) {
    return (error as NodeJS.ErrnoException).code!
  }
}

const errors = (findings: readonly Finding[]) =>
  findings.filter(({ severity, code }) => severity === 'error' && code !== 'keepalive-off')

describe.runIf(hasNginx).concurrent('a client of 60 s, a load balancer of 30 s and a server of 120 s', () => {
  const balancer: OwnHop = { name: 'nginx', idleTimeout: scaled(30_000), upstreamTimeout: scaled(30_000) }

  /** A client that reaches nginx over a long way, and nginx the origin over a short one. */
  async function throughBalancer(agent: http.Agent, use: (path: LatePath) => Promise<void>): Promise<void> {
    await withOrigin({ keepAliveTimeout: scaled(120_000) }, async (_, origin) => {
      await using nginx = await startNginx(
        `keepalive_timeout ${balancer.idleTimeout}ms;`,
        `location / { proxy_pass http://127.0.0.1:${origin}; }`,
      )
      await using path = await LatePath.to(nginx.port)
      await use(path)
      agent.destroy()
    })
  }

  it('fail a request that is sent while the connection is being closed, and audit names the load balancer', async () => {
    const agent = new http.Agent({ keepAlive: true, timeout: scaled(60_000) })
    expect(errors(audit(agent, [balancer]))).toEqual([
      expect.objectContaining({
        code: 'sender-outlasts-receiver',
        hop: 'nginx',
        message: expect.stringContaining('for 4 s, but nginx closes them after 2 s'),
      }),
    ])
    await throughBalancer(agent, async (path) => {
      expect(await ask(path.port, agent)).toBe(200)
      await once(path, 'answerer-closed')
      expect(await ask(path.port, agent)).toBe('ECONNRESET')
    })
  })

  it('fail no request after the plan is applied, because the client closes first', async () => {
    const agent = new http.Agent({
      keepAlive: true,
      timeout: plan({ path: [balancer] }).http.freeSocketTimeout,
    })
    expect(audit(agent, [balancer])).toEqual([])
    await throughBalancer(agent, async (path) => {
      let balancerClosed = false
      path.once('answerer-closed', () => {
        balancerClosed = true
      })
      expect(await ask(path.port, agent)).toBe(200)
      await once(path, 'sender-closed')
      expect(balancerClosed).toBe(false)
      expect(await ask(path.port, agent)).toBe(200)
    })
  })
})

describe.runIf(hasNginx).concurrent("a server timeout shorter than the load balancer's", () => {
  const balancer: OwnHop = { name: 'nginx', idleTimeout: 75_000, upstreamTimeout: scaled(60_000) }

  /** nginx keeps connections to the origin, which is a long way off. */
  async function behindBalancer(
    options: http.ServerOptions,
    use: (server: http.Server, balancer: number, path: LatePath) => Promise<void>,
  ): Promise<void> {
    await withOrigin(options, async (server, origin) => {
      await using path = await LatePath.to(origin)
      const upstream = `upstream origin { server 127.0.0.1:${path.port}; keepalive 4; keepalive_timeout ${balancer.upstreamTimeout}ms; }`
      const location =
        'location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; }'
      await using nginx = await startNginx(upstream, location)
      await use(server, nginx.port, path)
    })
  }

  it('answers 502 to a request that arrives while the connection is being closed, and audit names the load balancer', async () => {
    await behindBalancer({ keepAliveTimeout: scaled(5_000) }, async (server, port, path) => {
      expect(errors(audit(server, [balancer]))).toEqual([
        expect.objectContaining({
          code: 'sender-outlasts-receiver',
          hop: 'nginx',
          message: expect.stringMatching(
            /^nginx keeps connections to the server idle for 4 s, .* its client gets a 502\.$/,
          ),
        }),
      ])
      expect(await ask(port, undefined, 'POST')).toBe(200)
      await once(path, 'answerer-closed')
      // nginx itself repeats what may be repeated.
      expect(await ask(port, undefined, 'POST')).toBe(502)
    })
  })

  it('fails no request after the plan is applied, because the load balancer closes first', async () => {
    await behindBalancer(plan({ path: [balancer] }).http.server, async (server, port, path) => {
      expect(errors(audit(server, [balancer]))).toEqual([])
      let serverClosed = false
      path.once('answerer-closed', () => {
        serverClosed = true
      })
      expect(await ask(port, undefined, 'POST')).toBe(200)
      await once(path, 'sender-closed')
      expect(serverClosed).toBe(false)
      expect(await ask(port, undefined, 'POST')).toBe(200)
    })
  })
})
