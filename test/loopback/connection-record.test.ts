import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { findRecord, linkRecord, recordOf, recordOfHandle } from '../../src/connection/record.js'
import { type Handle, handleOf } from '../../src/connection/target.js'
import { HttpAgent } from '../../src/http/index.js'
import { profiles, watch } from '../../src/index.js'

const server = net.createServer((peer) => peer.on('error', () => {}).resume())
afterAll(() => void server.close())
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as net.AddressInfo

async function connected(socket = new net.Socket()): Promise<net.Socket> {
  socket.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

async function closed(socket: net.Socket): Promise<void> {
  socket.destroy()
  await once(socket, 'close')
}

describe('the record of a connection', () => {
  it('is the same whether it is found by the socket or by its handle', async () => {
    const socket = await connected()
    const record = recordOf(socket)
    expect(recordOf(socket)).toBe(record)
    expect(findRecord(socket)).toBe(record)
    expect(recordOfHandle(handleOf(socket) as Handle)).toBe(record)
    await closed(socket)
  })

  it('is not created by a lookup', async () => {
    const socket = await connected()
    expect(findRecord(socket)).toBeUndefined()
    await closed(socket)
  })

  it.each([
    { name: 'the socket', find: (socket: net.Socket) => recordOf(socket) },
    { name: 'the handle', find: (socket: net.Socket) => recordOfHandle(handleOf(socket) as Handle) },
  ])('keeps what was noted while the socket was connecting, found from $name', async ({ find }) => {
    const socket = new net.Socket()
    const before = recordOf(socket)
    socket.connect(port, '127.0.0.1')
    expect(recordOf(socket)).toBe(before)
    await once(socket, 'connect')
    expect(find(socket)).toBe(before)
    await closed(socket)
  })

  it.each([
    { name: 'that was connected', first: connected },
    { name: 'that was refused', first: refused },
  ])('is a new one for the next connection of a socket $name', async ({ first }) => {
    const socket = new net.Socket()
    const watcher = watch({ onDead: 'report' })
    watcher.add(socket)
    const earlier = recordOf(socket)
    await first(socket)
    if (!socket.destroyed) await closed(socket)
    expect(findRecord(socket)).toBe(earlier)
    await connected(socket)
    expect(recordOf(socket)).not.toBe(earlier)
    watcher.close()
    await closed(socket)
  })

  it('is that of the socket under a TLSSocket', async () => {
    const socket = await connected()
    const record = recordOf(socket)
    const secure = tls.connect({ socket, rejectUnauthorized: false })
    secure.on('error', () => {})
    expect(recordOf(secure)).toBe(record)
    expect(recordOfHandle(handleOf(secure) as Handle)).toBe(record)
    await closed(secure)
  })

  it('is found after the close once it is linked to the socket', async () => {
    const socket = await connected()
    const record = linkRecord(socket)
    await closed(socket)
    expect(findRecord(socket)).toBe(record)
  })
})

async function refused(socket: net.Socket): Promise<void> {
  const gone = net.createServer().listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port: closedPort } = gone.address() as net.AddressInfo
  await new Promise((resolve) => gone.close(resolve))
  const error = once(socket, 'error')
  socket.connect(closedPort, '127.0.0.1')
  await error
  await new Promise((resolve) => socket.once('close', resolve))
}

type Hooked = net.Socket & { _destroy(...args: unknown[]): void }

describe('the hook in _destroy', () => {
  it('keeps the wrapper that other code puts around it when a connection is watched again', async () => {
    const socket = (await connected()) as Hooked
    const watcher = watch({ onDead: 'report' }).add(socket)
    const { _destroy } = socket
    let calls = 0
    socket._destroy = function (...args) {
      calls++
      _destroy.apply(this, args)
    }
    watcher.delete(socket)
    watcher.add(socket)
    await closed(socket)
    await new Promise(setImmediate)
    expect(calls).toBe(1)
    expect(watcher.stats()).toMatchObject({ added: 2, watching: 0, closed: 1 })
  })

  it('is removed after the close, also from the connection of an agent', async () => {
    const plain = http.createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1')
    await once(plain, 'listening')
    const agent = new HttpAgent()
    const request = http.get({ port: (plain.address() as net.AddressInfo).port, host: '127.0.0.1', agent })
    const [socket] = (await once(request, 'socket')) as [Hooked]
    expect(socket._destroy).not.toBe(net.Socket.prototype._destroy)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    await once(response.resume(), 'end')
    await closed(socket)
    expect(socket._destroy).toBe(net.Socket.prototype._destroy)
    expect(agent.snapshot().total).toMatchObject({ opened: 1, open: 0, closedByUs: 1 })
    agent.destroy()
    plain.close()
  })
})

/** Connects one socket twice: by name, tuned by the program, and then by address. Prints the profile of each connection. */
const connectsAgain = `
import { once } from 'node:events'
import net from 'node:net'
import { inspect, tune } from 'deadpeer'
const server = net.createServer((peer) => peer.resume()).listen(0, '127.0.0.1')
await once(server, 'listening')
const socket = new net.Socket()
const profiles = []
for (const host of ['localhost', '127.0.0.1']) {
  socket.connect({ port: server.address().port, host, family: 4 })
  if (host === 'localhost') tune(socket, { count: 7 })
  await once(socket, 'connect')
  profiles.push(inspect(socket).profile)
  socket.destroy()
  await once(socket, 'close')
}
console.log(JSON.stringify(profiles))
server.close()
`

describe('deadpeer/register', () => {
  it("applies neither the rule nor the tuning of a socket's first connection to its second", () => {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', 'deadpeer/register', '--input-type=module', '--eval', connectsAgain],
      {
        cwd: fileURLToPath(new URL('../..', import.meta.url)),
        env: { ...process.env, DEADPEER_PROFILE: 'datacenter', DEADPEER_RULES: 'localhost=lan' },
        encoding: 'utf8',
        timeout: 30_000,
      },
    )
    expect(stderr).toBe('')
    const [first, second] = JSON.parse(stdout)
    expect(first).toMatchObject({ ...profiles.lan, count: 7 })
    expect(second).toMatchObject(profiles.datacenter)
  })
})
