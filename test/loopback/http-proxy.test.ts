import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { afterAll, describe, expect, it } from 'vitest'
import { HttpAgent, HttpsAgent, type HttpsAgentOptions } from '../../src/http/index.js'
import { inspect, profiles, watch } from '../../src/index.js'
import { certificate } from '../support/certificate.js'
import { listen } from '../support/connections.js'
import { answerTo } from '../support/http-answer.js'
import { until } from '../support/until.js'

// What agents count where there is a proxy in between: a connection is one, however many sockets Node makes of it, and belongs to the origin that
// its requests are for.

const closing: (() => void)[] = []
afterAll(() => {
  for (const close of closing) close()
})

async function serve(server: http.Server | https.Server): Promise<number> {
  const port = await listen(server)
  server.keepAliveTimeout = 0
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return port
}

/** The servers' ends of what has come through the tunnel. */
const peers: net.Socket[] = []
const web = http.createServer((request, response) => response.end(request.url))
const secure = https.createServer(certificate(), (request, response) => response.end(request.url))
secure.on('connection', (peer: net.Socket) => peers.push(peer.on('error', () => {})))
const ports = { web: await serve(web), secure: await serve(secure) }

interface Proxy {
  readonly port: number
  readonly asked: string[]
}

/** Passes on requests, and makes tunnels; but not to the host `refused`, and to a server without TLS for the host `plain`. */
async function proxyOf(server: http.Server | https.Server): Promise<Proxy> {
  const asked: string[] = []
  server.on('request', (request: http.IncomingMessage, response: http.ServerResponse) => {
    asked.push(`${request.method} ${request.url}`)
    http.get(request.url!, (answer) => answer.pipe(response))
  })
  server.on('connect', (request: http.IncomingMessage, socket: net.Socket) => {
    asked.push(`CONNECT ${request.url}`)
    socket.on('error', () => {})
    const [host, port] = request.url!.split(':')
    if (host === 'refused') {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n')
      return
    }
    const onward = net.connect(host === 'plain' ? ports.web : Number(port), '127.0.0.1')
    onward.on('error', () => socket.destroy())
    onward.once('connect', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
  })
  return { port: await serve(server), asked }
}

const proxy = await proxyOf(http.createServer())

/** As agents for tunnels do it: a CONNECT of their own, and then TLS over its socket. */
class TunnelAgent extends HttpsAgent {
  override createConnection(...args: Parameters<https.Agent['createConnection']>) {
    const [options, callback] = args as unknown as [
      tls.ConnectionOptions,
      (error: Error | null, socket?: net.Socket) => void,
    ]
    const path = `${options.host}:${options.port}`
    const asking = http.request({
      port: proxy.port,
      host: '127.0.0.1',
      method: 'CONNECT',
      path,
      agent: false,
    })
    asking.on('connect', (response, socket: net.Socket) => {
      if (response.statusCode === 200) callback(null, tls.connect({ ...options, socket }))
      else callback(new Error(`the proxy says ${response.statusCode}`))
    })
    asking.on('error', callback).end()
    return undefined as unknown as net.Socket
  }
}

/** Since then agents of Node's make tunnels themselves. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const nodeHasProxies = major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21)

const proxyEnv = (url: string) => ({ HTTP_PROXY: url, HTTPS_PROXY: url })
const options = (more: object = {}) =>
  ({ rejectUnauthorized: false, profile: 'lan', ...more }) as HttpsAgentOptions
const byNode = (port = proxy.port, protocol = 'http') =>
  options({ proxyEnv: proxyEnv(`${protocol}://127.0.0.1:${port}`) })

async function get(agent: HttpAgent | HttpsAgent, url: string) {
  const { get: send } = agent instanceof HttpsAgent ? https : http
  return answerTo(send(url, { agent }))
}

const tunnels: { name: string; isPossible: boolean; make: (more?: object) => HttpsAgent }[] = [
  { name: 'a subclass that makes tunnels', isPossible: true, make: (more) => new TunnelAgent(options(more)) },
  {
    name: 'proxyEnv of Node',
    isPossible: nodeHasProxies,
    make: (more) => new HttpsAgent({ ...byNode(), ...more }),
  },
]

describe.each(tunnels.filter(({ isPossible }) => isPossible))('$name', ({ make }) => {
  function agentOf(more?: object): HttpsAgent {
    const agent = make(more)
    closing.push(() => agent.destroy())
    return agent
  }

  it('opens a tunnel as one tuned connection to the origin at its end', async () => {
    const agent = agentOf()
    const before = proxy.asked.length
    const first = await get(agent, `https://127.0.0.1:${ports.secure}/a`)
    const second = await get(agent, `https://127.0.0.1:${ports.secure}/b`)
    expect([first.body, second.body]).toEqual(['/a', '/b'])
    expect(second.socket).toBe(first.socket)
    expect(inspect(second.socket).profile).toMatchObject(profiles.lan)
    expect(proxy.asked.slice(before)).toEqual([`CONNECT 127.0.0.1:${ports.secure}`])
    const { total, origins } = agent.snapshot()
    expect(origins).toEqual({ [`https://127.0.0.1:${ports.secure}`]: total })
    expect(total).toMatchObject({ opened: 1, open: 1, requests: 2, reusedRequests: 1, failedToOpen: 0 })
    agent.destroy()
    await until(() => agent.snapshot().total.open === 0)
    expect(agent.snapshot().total).toMatchObject({ opened: 1, closedByUs: 1, failedToOpen: 0 })
  })

  it("removes a tunnel when the proxy forwards the server's close", async () => {
    const agent = agentOf()
    await get(agent, `https://127.0.0.1:${ports.secure}/`)
    const { socket } = await get(agent, `https://127.0.0.1:${ports.secure}/`)
    peers.at(-1)!.end()
    await until(() => socket.destroyed)
    await until(() => agent.snapshot().total.open === 0)
    expect(agent.snapshot().total).toMatchObject({
      opened: 1,
      closedByPeer: 1,
      closedByUs: 0,
      failedRequests: 0,
    })
    expect((await get(agent, `https://127.0.0.1:${ports.secure}/`)).body).toBe('/')
    expect(agent.snapshot().total).toMatchObject({ opened: 2, open: 1, requests: 3, reusedRequests: 1 })
  })

  it('is watched only once at any time', async () => {
    const watcher = watch()
    closing.push(() => watcher.close())
    const agent = agentOf({ watch: watcher })
    const { socket } = await get(agent, `https://127.0.0.1:${ports.secure}/`)
    expect(watcher.has(socket)).toBe(true)
    // The connection to the proxy may have been watched until there was TLS over it.
    const { added, removed, watching } = watcher.stats()
    expect([watching, added - removed]).toEqual([1, 1])
  })

  it('does not count a tunnel that the proxy refuses as opened', async () => {
    const agent = agentOf()
    const request = https.get('https://refused:443/', { agent })
    await once(request, 'error')
    await until(() => agent.snapshot().total.failedRequests === 1)
    expect(agent.snapshot().total).toMatchObject({
      opened: 0,
      open: 0,
      requests: 1,
      closedByPeer: 0,
      closedByUs: 0,
    })
  })

  it('does not count a tunnel as opened if the server does not speak TLS', async () => {
    const agent = agentOf()
    const request = https.get('https://plain:443/', { agent })
    await once(request, 'error')
    await until(() => agent.snapshot().total.failedToOpen === 1)
    expect(agent.snapshot().total).toMatchObject({ opened: 0, open: 0, failedRequests: 1 })
  })
})

describe.skipIf(!nodeHasProxies)('proxyEnv of Node', () => {
  it('counts a plain HTTP connection under its origin, not under the proxy', async () => {
    const agent = new HttpAgent(byNode())
    closing.push(() => agent.destroy())
    const before = proxy.asked.length
    const first = await get(agent, `http://127.0.0.1:${ports.web}/a`)
    const second = await get(agent, `http://127.0.0.1:${ports.web}/b`)
    expect(second.socket).toBe(first.socket)
    expect(second.socket.remotePort).toBe(proxy.port)
    expect(proxy.asked.slice(before)).toHaveLength(2)
    const { total, origins } = agent.snapshot()
    expect(origins).toEqual({ [`http://127.0.0.1:${ports.web}`]: total })
    expect(total).toMatchObject({ opened: 1, open: 1, requests: 2, reusedRequests: 1 })
  })

  it('counts TLS within TLS as one connection to a proxy over TLS', async () => {
    const { port } = await proxyOf(https.createServer(certificate()))
    const agent = new HttpsAgent({
      ...byNode(port, 'https'),
      // Node passes no options on to the connection to the proxy.
      proxyEnv: { HTTPS_PROXY: `https://127.0.0.1:${port}` },
    } as HttpsAgentOptions)
    closing.push(() => agent.destroy())
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      expect((await get(agent, `https://127.0.0.1:${ports.secure}/a`)).body).toBe('/a')
      expect((await get(agent, `https://127.0.0.1:${ports.secure}/b`)).body).toBe('/b')
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
    }
    expect(agent.snapshot().total).toMatchObject({ opened: 1, open: 1, requests: 2, reusedRequests: 1 })
  })

  it('counts a missing proxy as failed to open', async () => {
    const agent = new HttpsAgent(byNode(1))
    const [error] = await once(https.get('https://example.test/', { agent }), 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
    await until(() => agent.snapshot().total.failedToOpen === 1)
    expect(agent.snapshot().total).toMatchObject({ opened: 0, requests: 1, failedRequests: 1 })
  })
})
