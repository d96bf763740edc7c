import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { defineProfile, inspect, type Profile, profiles, tune, tuneAll } from '../../src/index.js'
import { certificate } from '../support/certificate.js'
import { listen } from '../support/connections.js'
import { hasRtoMax } from '../support/kernel-version.js'

async function echoServer(host = '127.0.0.1') {
  const server = net.createServer((peer) => peer.on('error', () => {}))
  const port = await listen(server, host)
  onTestFinished(() => void server.close())
  return port
}

describe('a tune before connect', () => {
  it('applies to a socket once it begins to connect', async () => {
    const port = await echoServer()
    const socket = new net.Socket()
    tune(socket, 'lan')
    socket.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    expect(inspect(socket).profile).toMatchObject(profiles.lan)
    socket.destroy()
  })

  it("is in force when the program's own 'connect' listeners run", async () => {
    const port = await echoServer()
    const socket = net.connect(port, '127.0.0.1')
    const seen = new Promise((resolve) => socket.on('connect', () => resolve(inspect(socket).profile)))
    tune(socket, 'lan')
    expect(await seen).toMatchObject(profiles.lan)
    socket.destroy()
  })

  it('is in force on the descriptor during the handshake', async () => {
    const port = await echoServer()
    const socket = net.connect(port, '127.0.0.1')
    tune(socket, { synCount: 3 })
    await once(socket, 'connectionAttempt')
    expect(socket.connecting).toBe(true)
    expect(inspect(socket).profile.synCount).toBe(3)
    await once(socket, 'connect')
    socket.destroy()
  })

  it('applies to a host name that must be resolved first', async () => {
    const port = await echoServer()
    const socket = net.connect({ port, host: 'localhost', family: 4 })
    tune(socket, 'cloud')
    await once(socket, 'connect')
    expect(inspect(socket).profile).toMatchObject(profiles.cloud)
    socket.destroy()
  })

  it('combines with other tunes, and the later one wins', async () => {
    const port = await echoServer()
    const socket = new net.Socket()
    tune(socket, { initialDelay: 5_000, interval: 2_000 })
    tune(socket, { interval: 3_000, synCount: 4 })
    socket.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    expect(inspect(socket).profile).toMatchObject({ initialDelay: 5_000, interval: 3_000, synCount: 4 })
    socket.destroy()
  })

  it('applies to the Happy Eyeballs attempt that wins, even if an earlier one was tuned', async () => {
    const port = await echoServer()
    // Nothing listens on ::1 at that port, so the first attempt fails and the second has another descriptor.
    const lookup: net.LookupFunction = (_name, _options, callback) =>
      setImmediate(callback, null, [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ])
    const socket = net.connect({ port, host: 'two-addresses', lookup, autoSelectFamily: true })
    const attempts: string[] = []
    socket.on('connectionAttempt', (address: string) => attempts.push(address))
    tune(socket, 'lan')
    await once(socket, 'connect')
    expect(attempts).toEqual(['::1', '127.0.0.1'])
    expect(inspect(socket).profile).toMatchObject(profiles.lan)
    socket.destroy()
  })

  it('leaves no listener behind', async () => {
    const port = await echoServer()
    const socket = net.connect(port, '127.0.0.1')
    const before = socket.eventNames().map((name) => [name, socket.listenerCount(name)])
    for (let i = 0; i < 20; i++) tune(socket, 'lan')
    await once(socket, 'connect')
    const after = socket.eventNames().map((name) => [name, socket.listenerCount(name)])
    expect(after).toEqual(before)
    socket.destroy()
  })

  it('destroys the socket with the error if the kernel refuses the profile', async () => {
    const server = net.createServer().listen('\0deadpeer-connecting-test')
    await once(server, 'listening')
    const socket = new net.Socket()
    tune(socket, 'lan')
    socket.connect('\0deadpeer-connecting-test')
    const [error] = await once(socket, 'error')
    expect(error).toMatchObject({ code: 'ERR_NOT_TCP' })
    expect(socket.destroyed).toBe(true)
    server.close()
  })

  it('does not replace the error of a connection attempt that fails', async () => {
    const server = net.createServer()
    const port = await listen(server)
    await new Promise((resolve) => server.close(resolve))
    const socket = net.connect(port, '127.0.0.1')
    tune(socket, 'lan')
    const [error] = await once(socket, 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('applies to a socket that connects again in a close listener', async () => {
    const port = await echoServer()
    const gone = net.createServer()
    const closedPort = await listen(gone)
    await new Promise((resolve) => gone.close(resolve))
    const socket = new net.Socket()
    socket.on('error', () => {})
    socket.once('close', () => {
      socket.connect(port, '127.0.0.1')
      tune(socket, 'lan')
    })
    tune(socket, 'cloud')
    socket.connect(closedPort, '127.0.0.1')
    await new Promise<void>((resolve) => socket.once('connect', resolve))
    expect(inspect(socket).profile).toMatchObject(profiles.lan)
    socket.destroy()
  })

  it('is refused for TLS over a socket without a descriptor', async () => {
    const server = tls.createServer(certificate())
    const port = await listen(server)
    const raw = new net.Socket()
    const socket = tls.connect({ socket: raw, rejectUnauthorized: false })
    tune(socket, 'lan')
    raw.connect(port, '127.0.0.1')
    const [error] = await once(socket, 'error')
    expect(error).toMatchObject({ code: 'ERR_NOT_TCP' })
    raw.destroy()
    server.close()
  })

  it('applies to an HTTP/2 session, whose socket is a Proxy object', async () => {
    const server = http2.createServer()
    const port = await listen(server)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    tune(session as { socket: net.Socket }, 'lan')
    await once(session, 'connect')
    expect(inspect(session as { socket: net.Socket }).profile).toMatchObject(profiles.lan)
    session.destroy()
    server.close()
  })

  it.each<Profile>([
    { enable: true },
    { initialDelay: 32_767_000 },
    { interval: 32_767_000 },
    { count: 127 },
    { userTimeout: 2 ** 31 - 1 },
    { synCount: 127 },
    ...(hasRtoMax ? [{ rtoMax: 120_000 }] : []),
    { failOnIcmp: true },
  ])('sets %o', async (profile) => {
    const port = await echoServer()
    const socket = net.connect(port, '127.0.0.1')
    tune(socket, profile)
    await once(socket, 'connect')
    expect(inspect(socket).profile).toMatchObject(profile)
    socket.destroy()
  })

  it.each([
    {
      way: 'an option of the connection',
      connect: (port: number) =>
        net.connect({ port, host: '127.0.0.1', keepAlive: true, keepAliveInitialDelay: 9_000 }),
    },
    {
      way: 'setKeepAlive before the connection',
      connect: (port: number) => new net.Socket().setKeepAlive(true, 9_000).connect(port, '127.0.0.1'),
    },
    {
      way: 'setKeepAlive during the handshake',
      connect: (port: number) => net.connect(port, '127.0.0.1').setKeepAlive(true, 9_000),
    },
  ])('overrides the values that Node sets by $way', async ({ connect }) => {
    const socket = connect(await echoServer())
    tune(socket, 'lan')
    await once(socket, 'connect')
    expect(inspect(socket).profile).toMatchObject(profiles.lan)
    socket.destroy()
  })

  it('applies to one connection of a socket that connects again', async () => {
    const port = await echoServer()
    const socket = new net.Socket()
    tune(socket, 'lan')
    socket.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.destroy()
    await once(socket, 'close')
    socket.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    expect(inspect(socket).profile.enable).toBe(false)
    socket.destroy()
  })

  it('is reported as pending by tuneAll', async () => {
    const port = await echoServer()
    const socket = net.connect(port, '127.0.0.1')
    const profile = defineProfile({ initialDelay: 9_000 })
    expect(await tuneAll([socket], profile)).toEqual([{ pending: { enable: true, initialDelay: 9_000 } }])
    await once(socket, 'connect')
    expect(inspect(socket).profile).toMatchObject(profile)
    socket.destroy()
  })

  it('makes the error of inspect name the event to wait for', () => {
    expect(() => inspect(new net.Socket())).toThrow(/not connected yet; wait for its 'connect' event/)
  })
})
