import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { plan } from '../../src/index.js'
import { type MeasuredPath, type MeasureProgress, measure } from '../../src/path/index.js'
import { certificate } from '../support/certificate.js'
import { hasHaproxy, hasNginx, type Running, startHaproxy, startNginx } from '../support/http-servers.js'
import { freePort, launch, newFolder } from '../support/installed-server.js'
import { until } from '../support/until.js'

const host = '127.0.0.1'

/** A server that does this to each connection. */
async function serve(onConnection: (socket: net.Socket) => void): Promise<net.Server & AsyncDisposable> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.resume()
    onConnection(socket)
  })
  server.listen(0, host)
  await once(server, 'listening')
  return server
}

function connectionsOf(server: net.Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((_, count) => resolve(count)))
}

function portOf(server: net.Server): number {
  return (server.address() as net.AddressInfo).port
}

/** The connections of this process. */
function openConnections(): string[] {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap')
}

describe('measure refuses', () => {
  it.each([
    { options: {}, message: 'measure() needs host and port, or listen; got none of them.', field: 'host' },
    { options: { host }, message: 'measure() needs host and port, or listen; got host only.', field: 'port' },
    {
      options: { listen: 7_000, host, port: 1 },
      message: 'measure() with listen does not take host, port, tls or http.',
      field: 'listen',
    },
    {
      options: { host, port: 0 },
      message: 'port must be a whole number from 1 to 65535; got 0.',
      field: 'port',
    },
    {
      options: { host, port: 1, upTo: 0 },
      message: 'upTo must be whole milliseconds from 2000',
      field: 'upTo',
    },
    {
      options: { host, port: 1, connections: 65 },
      message: 'connections must be a whole number from 2 to 60; got 65.',
      field: 'connections',
    },
    { options: { host, port: 1, hots: 1 }, message: 'Did you mean `host`?', field: 'hots' },
  ])('$options', async ({ options, message, field }) => {
    await expect(measure(options)).rejects.toMatchObject({
      message: expect.stringContaining(message),
      field,
    })
  })
})

describe('measure rejects, and leaves nothing open,', () => {
  it('if the connection is refused', async () => {
    const port = await freePort()
    await expect(measure({ host, port })).rejects.toMatchObject({
      name: 'DeadpeerError',
      code: 'ECONNREFUSED',
      message: `Cannot measure ${host}:${port}: the connection was refused (ECONNREFUSED).`,
    })
    await expect.poll(openConnections).toEqual([])
  })

  it('if the name does not exist', async () => {
    await expect(measure({ host: 'host.invalid', port: 1 })).rejects.toMatchObject({
      message: expect.stringMatching(/^Cannot measure host\.invalid:1: .+ \((ENOTFOUND|EAI_AGAIN)\)\.$/),
    })
  })

  it.each([
    { how: 'resets', code: 'ECONNRESET', end: (socket: net.Socket) => socket.resetAndDestroy() },
    { how: 'closes', code: 'ERR_NOT_KEPT', end: (socket: net.Socket) => socket.end() },
  ])('if the other end $how each connection at once', async ({ how, code, end }) => {
    await using server = await serve(end)
    const port = portOf(server)
    await expect(measure({ host, port })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(`Cannot measure ${host}:${port}: it ${how} each connection at once`),
    })
    await until(async () => (await connectionsOf(server)) === 0)
  })

  it('if the port to listen on is in use', async () => {
    await using server = await serve(() => {})
    await expect(measure({ listen: portOf(server) })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })

  it('if an HTTP server does not keep the connection', async () => {
    const server = http.createServer((_, response) => response.setHeader('Connection', 'close').end())
    server.listen(0, host)
    await once(server, 'listening')
    await expect(measure({ host, port: portOf(server), http: true })).rejects.toMatchObject({
      code: 'ERR_NOT_KEPT',
      message: expect.stringContaining('its response says that it closes the connection'),
    })
    server.close()
  })

  it('if the server does not speak HTTP', async () => {
    await using server = await serve((socket) => socket.write('220 mail.example.com ESMTP\r\n\r\n'))
    await expect(measure({ host, port: portOf(server), http: true })).rejects.toMatchObject({
      message: expect.stringContaining('the response is not HTTP/1.1'),
    })
  })
})

describe.concurrent('measure', () => {
  it('resolves to what is known so far if it is aborted, and closes its connections', async () => {
    await using server = await serve(() => {})
    const progress: MeasureProgress[] = []
    const stopping = new AbortController()
    const measured = await measure({
      host,
      port: portOf(server),
      upTo: 60_000,
      signal: stopping.signal,
      onProgress(each) {
        progress.push(each)
        if (each.observation && each.observation.idle > 2_000) stopping.abort()
      },
    })
    expect(measured).toMatchObject({ complete: false, answersProbes: 'yes', notes: [{ code: 'incomplete' }] })
    expect(measured.idleLimit).toBeUndefined()
    expect(measured.idleTried).toBeGreaterThan(2_000)
    expect(measured.idleTried).toBeLessThan(10_000)
    expect(progress[0]).toMatchObject({ doing: 'searching', open: expect.any(Number) })
    expect(Math.max(...progress.map(({ open }) => open))).toBe(12)
    expect(progress.every(({ timeLeft }) => timeLeft! <= 60_000)).toBe(true)
    await until(async () => (await connectionsOf(server)) === 0)
  })

  it('resolves at once if the signal is aborted already', async () => {
    const measured = await measure({ host, port: 1, signal: AbortSignal.abort() })
    expect(measured).toMatchObject({ complete: false, idleTried: 0, observations: [] })
  })

  it('opens fewer than eleven connections in any second', async () => {
    const openedAt: number[] = []
    await using server = await serve(() => openedAt.push(performance.now()))
    await measure({ host, port: portOf(server), upTo: 4_000, connections: 25 })
    expect(openedAt).toHaveLength(25)
    // The server may accept one late, and the next in time.
    for (let i = 10; i < openedAt.length; i++) expect(openedAt[i]! - openedAt[i - 10]!).toBeGreaterThan(900)
  })

  it('does not take a server that ends all connections at one moment for a limit', async () => {
    const sockets = new Set<net.Socket>()
    let isEnded = false
    await using server = await serve((socket) => {
      sockets.add(socket)
      if (isEnded || sockets.size < 10) return
      isEnded = true
      setTimeout(() => {
        for (const each of sockets) each.destroy()
      }, 2_000)
    })
    const measured = await measure({ host, port: portOf(server), upTo: 5_000 })
    expect(measured.idleLimit).toBeUndefined()
    expect(measured.notes.map(({ code }) => code)).toContain('ended-together')
    expect(measured.complete).toBe(true)
  })

  it('says how long a server that sends something was quiet', async () => {
    await using server = await serve((socket) => {
      const sending = setInterval(() => socket.write('.'), 1_900)
      socket.on('close', () => clearInterval(sending))
    })
    const measured = await measure({ host, port: portOf(server), upTo: 4_000 })
    expect(measured).toMatchObject({
      complete: false,
      notes: [{ code: 'incomplete' }, { code: 'peer-not-idle' }],
    })
    expect(measured.idleTried).toBeLessThan(2_000)
  })

  it('measures over TLS when a server closes, though it says goodbye with data', async () => {
    const server = tls.createServer(certificate(), (socket) => {
      socket.on('error', () => {}).resume()
      setTimeout(() => socket.end(), 3_000)
    })
    server.listen(0, host)
    await once(server, 'listening')
    const measured = await measure({ host, port: portOf(server), upTo: 5_000, tls: true })
    server.close()
    expect(measured).toMatchObject({
      onExpiry: 'close',
      expiredBy: 'peer',
      probesCount: false,
      complete: true,
    })
    isAbout(measured, 3_000)
  })

  it('gives a hop for a plan', async () => {
    await using server = await serve((socket) => setTimeout(() => socket.destroy(), 4_000))
    const measured = await measure({ host, port: portOf(server), upTo: 6_000 })
    for (const hop of [measured, JSON.parse(JSON.stringify(measured))]) {
      const planned = plan({ path: [hop] })
      expect(planned.path[0]).toMatchObject({
        name: measured.name,
        onExpiry: 'close',
        probesCount: false,
        answersProbes: 'yes',
      })
      expect(planned.path[0]!.idleTimeout).toBe(measured.idleLimit!.atLeast)
      expect(planned.warnings.map(({ code }) => code)).toContain('probes-not-counted')
    }
  })
})

/** Whether the limit is right within 1 s. A server starts its clock before the client's last segment, so the measured limit may be shorter. */
function isAbout({ idleLimit }: MeasuredPath, limit: number): void {
  expect(idleLimit!.atMost - idleLimit!.atLeast).toBeLessThanOrEqual(1_000)
  expect(idleLimit!.atLeast).toBeLessThanOrEqual(limit + 1_000)
  expect(idleLimit!.atMost).toBeGreaterThanOrEqual(limit - 100)
}

describe('measure with http', () => {
  const LIMIT = 4_000
  const measured: Record<string, MeasuredPath> = {}
  const stops: (() => unknown)[] = []

  beforeAll(async () => {
    const node = http.createServer({ keepAliveTimeout: LIMIT }, (_, response) => response.end('hello'))
    // Node 24.6 and newer keep a connection for a second longer than they announce.
    ;(node as { keepAliveTimeoutBuffer?: number }).keepAliveTimeoutBuffer = 0
    node.listen(0, host)
    await once(node, 'listening')
    stops.push(() => node.close())
    const ports: Record<string, number> = { node: portOf(node) }
    const running = async (name: string, start: Promise<Running>) => {
      const server = await start
      stops.push(() => server[Symbol.asyncDispose]())
      ports[name] = server.port
    }
    if (hasNginx) {
      const location = "location / { return 200 'hello'; }"
      await running('nginx', startNginx('', `keepalive_timeout ${LIMIT / 1_000}s; ${location}`))
      await running('nginx-tls', startNginx('', `keepalive_timeout ${LIMIT / 1_000}s; ${location}`, 'ssl'))
    }
    if (hasHaproxy) {
      await running('haproxy-client', startHaproxy(`timeout client ${LIMIT}ms`, ports.node!))
      await running('haproxy-keep-alive', startHaproxy(`timeout http-keep-alive ${LIMIT}ms`, ports.node!))
      const echo = await serve(() => {})
      stops.push(() => echo.close())
      const tcp = (settings: string) => startTcpProxy(settings, portOf(echo))
      await running('haproxy-tcp-client', tcp(`timeout client ${LIMIT}ms`))
      await running('haproxy-tcp-tunnel', tcp(`timeout client 20s\n timeout tunnel ${LIMIT}ms`))
    }
    await Promise.all(
      Object.entries(ports).map(async ([name, port]) => {
        const isTcp = name.startsWith('haproxy-tcp')
        measured[name] = await measure({ host, port, upTo: 8_000, http: !isTcp, tls: name === 'nginx-tls' })
      }),
    )
  }, 60_000)
  afterAll(() => Promise.all(stops.map((stop) => stop())))

  it.each([
    ['node', true],
    ['nginx', hasNginx],
    ['nginx-tls', hasNginx],
    ['haproxy-client', hasHaproxy],
    ['haproxy-keep-alive', hasHaproxy],
    ['haproxy-tcp-client', hasHaproxy],
    ['haproxy-tcp-tunnel', hasHaproxy],
  ])('finds when %s closes idle connections', (name, isThere) => {
    if (!isThere) return
    expect(measured[name]).toMatchObject({
      complete: true,
      expiredBy: 'peer',
      probesCount: false,
      answersProbes: 'yes',
    })
    isAbout(measured[name]!, LIMIT)
  })
})

/** HAProxy that forwards bytes. */
async function startTcpProxy(settings: string, server: number): Promise<Running> {
  const folder = newFolder('haproxy')
  const port = await freePort()
  writeFileSync(
    join(folder, 'haproxy.cfg'),
    `defaults
      mode tcp
      timeout connect 2s
      timeout server 20s
      ${settings}
    listen all
      bind 127.0.0.1:${port}
      server one 127.0.0.1:${server}
`,
  )
  const args = ['-db', '-f', join(folder, 'haproxy.cfg')]
  const haproxy = await launch({ command: 'haproxy', args, folder, port })
  return { port, requests: async () => [], [Symbol.asyncDispose]: haproxy.stop }
}
