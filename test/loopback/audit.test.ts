import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { tune } from '../../src/index.js'
import { audit, type Finding, type OwnHop, plan } from '../../src/path/index.js'
import { connectPair, listen } from '../support/connections.js'

const nat: OwnHop = { name: 'nat', idleTimeout: 60_000 }
const words = (findings: readonly Finding[]) => findings.map(({ severity, code }) => `${severity} ${code}`)

describe('audit', () => {
  it('judges a connection before and after it is tuned', async () => {
    const { socket } = await connectPair()
    expect(words(audit(socket, [nat]))).toEqual(['error keepalive-off'])
    socket.setKeepAlive(true, 90_000)
    expect(words(audit(socket, [nat]))).toEqual(['error forgets-before-probe', 'warning in-flight-unbounded'])
    tune(socket, plan({ path: [nat] }).profile)
    expect(audit(socket, [nat])).toEqual([])
    tune(socket, 'cloud')
    expect(audit(socket, [nat])).toEqual([])
    socket.destroy()
    expect(() => audit(socket, [nat])).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_CLOSED' }))
  })

  it('judges a listener only if its connections inherit its options', async () => {
    const server = net.createServer()
    expect(words(audit(server, [nat]))).toEqual(['note not-read'])
    await listen(server)
    expect(words(audit(server, [nat]))).toEqual(['error keepalive-off'])
    tune(server, 'cloud')
    expect(audit(server, [nat])).toEqual([])
    server.close()
  })

  it("reports that keepalive with the system's 2 h notices a death too late", async () => {
    const { socket } = await connectPair()
    socket.setKeepAlive(true)
    tune(socket, { interval: 5_000, count: 1, userTimeout: 20_000 })
    expect(audit(socket, [])).toEqual([
      {
        severity: 'warning',
        code: 'detection-too-slow',
        message: 'Keepalive is on, but takes 7205 s to notice that the peer of an idle connection is gone.',
        change: 'Set initialDelay + interval × count to 15 min or less.',
      },
    ])
    tune(socket, 'cloud')
    expect(audit(socket, [])).toEqual([])
    socket.destroy()

    const server = net.createServer()
    await listen(server)
    tune(server, { enable: true, userTimeout: 20_000 })
    expect(words(audit(server, []))).toContain('warning detection-too-slow')
    server.close()
  })

  it('reports the same for an agent whose connections wait 2 h before the first probe', async () => {
    const server = http.createServer((_, response) => response.end())
    const port = await listen(server)
    const agent = new http.Agent({ keepAlive: true, keepAliveMsecs: 7_200_000, timeout: 50_000 })
    const [response] = (await once(http.get({ port, agent }), 'response')) as [http.IncomingMessage]
    response.resume()
    await once(agent, 'free')
    expect(words(audit(agent, []))).toContain('warning detection-too-slow')
    agent.destroy()
    server.close()
  })

  it('judges both the timeouts of an HTTP server and what its connections inherit', async () => {
    const path = ['aws-alb'] as const
    const server = http.createServer(plan({ path }).http.server)
    await listen(server)
    expect(words(audit(server, path))).toEqual([
      'error keepalive-off',
      'note probes-not-counted',
      'note proxy-behind',
    ])
    tune(server, 'cloud')
    server.keepAliveTimeout = 5_000
    expect(words(audit(server, path))).toEqual([
      'error sender-outlasts-receiver',
      'note probes-not-counted',
      'note proxy-behind',
    ])
    server.close()
  })

  it("judges both the timeouts of an agent and one of its connections, with Node's 1 s and 10 probes", async () => {
    const server = http.createServer((_, response) => response.end())
    const port = await listen(server)
    const agent = new http.Agent({ keepAlive: true, timeout: 50_000 })
    const [response] = (await once(http.get({ port, agent }), 'response')) as [http.IncomingMessage]
    response.resume()
    await once(agent, 'free')
    expect(words(audit(agent, [nat]))).toEqual(['warning in-flight-unbounded'])
    const [socket] = Object.values(agent.freeSockets).flat()
    tune(socket!, 'cloud')
    expect(audit(agent, [nat])).toEqual([])
    agent.destroy()
    server.close()
  })
})

it('audits what Node shows without a native core', () => {
  const script = `
    import http from 'node:http'
    import net from 'node:net'
    import { audit, plan, timeline } from 'deadpeer/plan'
    const server = http.createServer().listen(0, '127.0.0.1', () => {
      const codes = audit(server, ['aws-alb']).map(({ code }) => code)
      console.log(JSON.stringify({ codes, delay: plan({ path: ['aws-nlb'] }).profile.initialDelay, svg: timeline('lan').slice(0, 4) }))
      server.close()
    })`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, DEADPEER_NATIVE: 'off' },
  })
  expect(stderr).toBe('')
  expect(JSON.parse(stdout)).toEqual({
    codes: ['sender-outlasts-receiver', 'not-read'],
    delay: 120_000,
    svg: '<svg',
  })
})
