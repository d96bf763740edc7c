import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HttpAgent, HttpsAgent } from 'agentkeepalive'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { inspect, profiles, tune } from '../../src/index.js'
import { certificate } from '../support/certificate.js'
import { listen } from '../support/connections.js'

const plain = http.createServer((request, response) => response.end(request.url))
const secure = https.createServer(certificate(), (request, response) => response.end(request.url))
const ports = { 'http:': await listen(plain), 'https:': await listen(secure) }
afterAll(() => {
  for (const server of [plain, secure]) {
    server.closeAllConnections()
    server.close()
  }
})

class Subclass extends http.Agent {
  override createConnection(...args: Parameters<http.Agent['createConnection']>) {
    return super.createConnection(...args)
  }
}

const keepAlive = { keepAlive: true, rejectUnauthorized: false }
const agents: { name: string; make: () => http.Agent }[] = [
  { name: 'http.Agent', make: () => new http.Agent(keepAlive) },
  { name: 'https.Agent', make: () => new https.Agent(keepAlive) },
  { name: 'http.globalAgent', make: () => http.globalAgent },
  { name: 'a subclass', make: () => new Subclass(keepAlive) },
  { name: 'agentkeepalive', make: () => new HttpAgent(keepAlive) },
  { name: "agentkeepalive's HttpsAgent", make: () => new HttpsAgent(keepAlive) },
]

interface Exchange {
  readonly request: http.ClientRequest
  readonly socket: net.Socket
  /** What is in force once the response begins. */
  readonly during: object
}

/** The next request of an agent, up to its response; `await done(…)` reads that, so that the connection is free. */
async function exchange(agent: http.Agent, options: http.RequestOptions = {}): Promise<Exchange> {
  const protocol = (agent as http.Agent & { protocol: 'http:' | 'https:' }).protocol
  const { request: send } = protocol === 'https:' ? https : http
  const request = send({ host: '127.0.0.1', port: ports[protocol], agent, ...options }).end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const { socket } = response
  const during = inspect(socket).profile
  const isFree = once(socket, 'free')
  response.resume()
  await once(response, 'end')
  await isFree
  return { request, socket, during }
}

describe.each(agents)('$name', ({ make }) => {
  it('has connections that are tuned at the first request, while free, and when reused', async () => {
    const agent = make()
    tune(agent, 'cloud')
    const first = await exchange(agent)
    expect(first.during).toMatchObject(profiles.cloud)
    expect(inspect(first.socket).profile).toMatchObject(profiles.cloud)
    const second = await exchange(agent)
    expect(second.socket).toBe(first.socket)
    expect(second.during).toMatchObject(profiles.cloud)
    agent.destroy()
  })

  it('keeps its connections tuned after the program or a library calls setKeepAlive', async () => {
    const agent = make()
    tune(agent, 'cloud')
    const { socket } = await exchange(agent)
    socket.setKeepAlive(true, 7_000)
    expect(inspect(socket).profile).toMatchObject(profiles.cloud)
    const again = exchange(agent)
    socket.setKeepAlive(false)
    expect((await again).during).toMatchObject(profiles.cloud)
    expect(inspect(socket).profile).toMatchObject(profiles.cloud)
    agent.destroy()
  })

  it('tunes its free and active connections at once, and combines later tunes', async () => {
    const agent = make()
    const { socket } = await exchange(agent)
    tune(agent, 'cloud')
    expect(inspect(socket).profile).toMatchObject(profiles.cloud)
    tune(agent, { count: 7 })
    expect(inspect(socket).profile).toMatchObject({ ...profiles.cloud, count: 7 })
    const later = await exchange(agent, { localAddress: '127.0.0.2' })
    expect(later.socket).not.toBe(socket)
    expect(later.during).toMatchObject({ ...profiles.cloud, count: 7 })
    agent.destroy()
  })
})

describe('an agent', () => {
  it('tunes a connection that is still connecting', async () => {
    const agent = new http.Agent(keepAlive)
    const pending = exchange(agent)
    tune(agent, 'lan')
    expect((await pending).during).toMatchObject(profiles.lan)
    agent.destroy()
  })

  it('tunes its connections without keepAlive too', async () => {
    const agent = new http.Agent()
    tune(agent, 'lan')
    const request = http.get({ host: '127.0.0.1', port: ports['http:'], agent })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(inspect(response.socket).profile).toMatchObject(profiles.lan)
    response.resume()
    await once(request, 'close')
  })

  it('has connections tuned that it opens by callback', async () => {
    const agent = new http.Agent(keepAlive)
    const createConnection = agent.createConnection
    agent.createConnection = (options, callback) => {
      const socket = createConnection.call(agent, options) as net.Socket
      socket.once('connect', () => callback!(null, socket))
      return undefined
    }
    tune(agent, 'lan')
    expect((await exchange(agent)).during).toMatchObject(profiles.lan)
    agent.destroy()
  })

  it('leaves UNIX sockets as they were', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'deadpeer-unix-'))
    const server = http.createServer((_, response) => response.end()).listen(join(folder, 'socket'))
    await once(server, 'listening')
    const agent = new http.Agent(keepAlive)
    const get = async () => {
      const request = http.get({ socketPath: join(folder, 'socket'), agent })
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      response.resume()
      await once(response, 'end')
    }
    await get()
    tune(agent, 'lan')
    await get()
    const opened = once(server, 'connection')
    const waiting = Promise.all([get(), get()])
    tune(agent, 'cloud')
    await Promise.all([opened, waiting])
    agent.destroy()
    server.close()
    rmSync(folder, { recursive: true })
  })

  it('calls a createConnection that is assigned to Agent.prototype after the tune', async () => {
    const agent = new http.Agent(keepAlive)
    tune(agent, 'cloud')
    const { createConnection } = http.Agent.prototype
    let calls = 0
    http.Agent.prototype.createConnection = function (...args) {
      calls++
      return Reflect.apply(createConnection, this, args)
    }
    try {
      expect((await exchange(agent)).during).toMatchObject(profiles.cloud)
      expect(calls).toBe(1)
    } finally {
      http.Agent.prototype.createConnection = createConnection
      agent.destroy()
    }
  })

  type Create = (...args: unknown[]) => net.Socket
  const noServer = { rejectUnauthorized: false }

  it.each<{ form: string; agent: () => http.Agent; args: (host: string, port: number) => unknown[] }>([
    { form: 'http (options)', agent: () => new http.Agent(), args: (host, port) => [{ host, port }] },
    { form: 'http (port, host)', agent: () => new http.Agent(), args: (host, port) => [port, host] },
    {
      form: 'http (port as text, host)',
      agent: () => new http.Agent(),
      args: (host, port) => [`${port}`, host],
    },
    {
      form: 'https (options)',
      agent: () => new https.Agent(),
      args: (host, port) => [{ host, port, ...noServer }],
    },
    {
      form: 'https (port, options)',
      agent: () => new https.Agent(),
      args: (host, port) => [port, { host, ...noServer }],
    },
    {
      form: 'https (port, host, options)',
      agent: () => new https.Agent(),
      args: (host, port) => [port, host, noServer],
    },
  ])('passes on all arguments of createConnection: $form', async ({ agent: make, args }) => {
    // Only this address has a server, so that a host that is lost is noticed.
    const host = '127.0.0.2'
    const [plain, tuned] = [make(), make()]
    const isSecure = plain instanceof https.Agent
    const server = isSecure ? https.createServer(certificate()) : http.createServer()
    const port = await listen(server, host)
    tune(tuned, 'lan')
    /** Opens a connection, and returns what its callback was given. */
    const open = async (agent: http.Agent) => {
      const called: unknown[][] = []
      const create = agent.createConnection as unknown as Create
      const socket = create.call(agent, ...args(host, port), (...given: unknown[]) => called.push(given))
      await once(socket, isSecure ? 'secureConnect' : 'connect')
      return { socket, called: called.map((given) => given.map((each) => each === socket)) }
    }
    const [usual, ours] = [await open(plain), await open(tuned)]
    expect(ours.socket.remoteAddress).toBe(host)
    expect(ours.called).toEqual(usual.called)
    expect(inspect(ours.socket).profile).toMatchObject(profiles.lan)
    const withoutCallback = (tuned.createConnection as unknown as Create)(...args(host, port))
    await once(withoutCallback, isSecure ? 'secureConnect' : 'connect')
    expect(withoutCallback.remoteAddress).toBe(host)
    for (const socket of [usual.socket, ours.socket, withoutCallback]) socket.destroy()
    server.close()
  })

  it('passes on the path of a UNIX socket to createConnection', async () => {
    const path = `\0deadpeer-agent-${process.pid}`
    const server = http.createServer().listen(path)
    await once(server, 'listening')
    const agent = new http.Agent()
    tune(agent, 'lan')
    const socket = (agent.createConnection as unknown as Create)(path)
    await once(socket, 'connect')
    socket.destroy()
    server.close()
  })

  it('throws for a bad profile, and changes nothing', async () => {
    const agent = new http.Agent(keepAlive)
    expect(() => tune(agent, { count: 500 })).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }))
    expect(Object.hasOwn(agent, 'createConnection')).toBe(false)
  })

  it('is wrapped once after a thousand tunes', async () => {
    const agent = new http.Agent(keepAlive)
    tune(agent, 'lan')
    const { createConnection } = agent
    for (let i = 0; i < 1_000; i++) tune(agent, 'cloud')
    expect(agent.createConnection).toBe(createConnection)
    expect((await exchange(agent)).during).toMatchObject(profiles.cloud)
    agent.destroy()
  })

  it.each([
    { what: 'an object', target: {} },
    { what: 'a function', target: () => {} },
    { what: 'something with sockets but no way to open them', target: { sockets: {}, freeSockets: {} } },
    { what: 'null', target: null },
  ])('is not accepted in the form of $what', ({ target }) => {
    expect(() => tune(target as never, 'lan')).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', field: 'target' }),
    )
  })
})

describe('createConnection of an agent', () => {
  const assigned = () => vi.fn((options: net.NetConnectOpts) => net.connect(options))

  it('is called, and its connections are tuned, if the program assigns it after tune', async () => {
    const agent = new http.Agent(keepAlive)
    tune(agent, 'lan')
    const own = assigned()
    agent.createConnection = own as never
    expect(agent.createConnection).toBe(own)
    const { during } = await exchange(agent)
    expect(during).toMatchObject(profiles.lan)
    expect(own).toHaveBeenCalledOnce()
    // As a test does that has assigned a mock.
    expect(agent.createConnection).toHaveBeenCalledOnce()
    agent.destroy()
  })

  it('is called once for each connection if the program wraps it repeatedly', async () => {
    const agent = new http.Agent(keepAlive)
    tune(agent, 'lan')
    const calls: number[] = []
    for (let i = 0; i < 3; i++) {
      const { createConnection } = agent
      agent.createConnection = ((...args: never[]) => {
        calls.push(i)
        return Reflect.apply(createConnection, agent, args)
      }) as never
      const before = calls.length
      const { during } = await exchange(agent)
      expect(during).toMatchObject(profiles.lan)
      expect(calls.length - before).toBe(i + 1)
      agent.destroy()
    }
  })

  it('is not wrapped again after the program has restored it', async () => {
    const agent = new http.Agent(keepAlive)
    tune(agent, 'lan')
    const { createConnection } = agent
    agent.createConnection = assigned() as never
    await exchange(agent)
    agent.createConnection = createConnection
    agent.destroy()
    const { during } = await exchange(agent)
    expect(during).toMatchObject(profiles.lan)
    expect(agent.createConnection).toBe(createConnection)
    agent.destroy()
  })

  it('is left as it is if the program makes it read-only', async () => {
    const agent = new http.Agent(keepAlive)
    tune(agent, 'lan')
    Object.defineProperty(agent, 'createConnection', { get: assigned, configurable: true })
    await exchange(agent)
    agent.destroy()
  })
})

describe('a frozen agent', () => {
  it('is refused, unless it was tuned before it was frozen', () => {
    const frozen = Object.freeze(new http.Agent())
    expect(() => tune(frozen, 'lan')).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', message: expect.stringMatching(/frozen/) }),
    )
    const agent = new http.Agent()
    tune(agent, 'lan')
    Object.freeze(agent)
    expect(() => tune(agent, 'cloud')).not.toThrow()
  })
})
