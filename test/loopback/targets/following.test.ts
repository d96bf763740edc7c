import { type EventEmitter, once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import mqtt from 'mqtt'
import type { Manager } from 'socket.io-client'
import { describe, expect, it } from 'vitest'
import WebSocket, { createWebSocketStream, WebSocketServer } from 'ws'
import { socketOf } from '../../../src/connection/target.js'
import { inspect, type Profile, probe, tune, watch } from '../../../src/index.js'
import { socketIo } from '../../support/target-rows.js'
import { closedAfterwards, httpPort, listening } from '../../support/target-setup.js'
import { until } from '../../support/until.js'

// Targets whose connection is another one after a while.

const profile: Profile = { enable: true, initialDelay: 7_000, interval: 3_000, count: 4, userTimeout: 17_000 }

describe('a socket.io Socket', () => {
  it('of a server is tuned and watched again when its transport is upgraded', async () => {
    const { peer } = await socketIo('polling', 'websocket')
    expect(peer.conn.transport.name).toBe('polling')
    const watcher = closedAfterwards(watch(), (it) => it.close())
    tune(peer, profile)
    watcher.add(peer)
    await once(peer.conn, 'upgrade')
    const { _socket: socket } = peer.conn.transport.socket
    expect(inspect(socket).profile).toMatchObject(profile)
    expect(socketOf(peer)).toBe(socket)
    expect(watcher.has(socket)).toBe(true)
    // A later tune adds to the earlier, and holds for the present connection.
    tune(peer, { count: 6 })
    expect(inspect(peer).profile).toMatchObject({ ...profile, count: 6 })
    const listeners = peer.conn.listenerCount('close')
    peer.disconnect(true)
    await until(() => !watcher.has(peer))
    expect(peer.conn.listenerCount('close')).toBeLessThan(listeners)
  })

  it('of a client is tuned and watched again when it reconnects', async () => {
    const { client, peer } = await socketIo('websocket')
    const watcher = closedAfterwards(watch(), (it) => it.close())
    tune(client, profile)
    watcher.add(client)
    const first = socketOf(client)
    const reconnected = new Promise<void>((resolve) => client.once('connect', resolve))
    peer.conn.close(true)
    await reconnected
    const second = socketOf(client)
    expect(second).not.toBe(first)
    expect(inspect(second).profile).toMatchObject(profile)
    await until(() => watcher.size === 1)
    expect([watcher.has(first), watcher.has(second)]).toEqual([false, true])
  })

  it('has no listener left after its watcher is closed', async () => {
    const { peer } = await socketIo('websocket')
    const count = () =>
      (peer.conn as EventEmitter).eventNames().map((name) => [name, peer.conn.listenerCount(name)])
    const before = count()
    const watcher = watch().add(peer)
    watcher.delete(peer)
    watcher.add(peer)
    watcher.close()
    expect(count()).toEqual(before)
  })
})

describe('a socket.io connection with many namespaces', () => {
  it('gets one listener for each event, and no warning of a leak', async () => {
    const names = ['/a', '/b', '/c', '/d', '/e', '/f']
    const { client, server, peer } = await socketIo('polling')
    const peers = names.map((name) => once(server.of(name), 'connection') as Promise<[typeof peer]>)
    for (const name of names) (client.io as Manager).socket(name)
    const accepted = (await Promise.all(peers)).map(([each]) => each)
    expect(new Set(accepted.map(({ conn }) => conn)).size).toBe(1)
    const emitters = [peer.conn, peer.conn.transport] as unknown as EventEmitter[]
    const count = () =>
      emitters.flatMap((it) => ['upgrade', 'close', 'ready'].map((event) => it.listenerCount(event)))
    const before = count()
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    const watcher = closedAfterwards(watch(), (it) => it.close())
    for (const each of accepted) {
      tune(each, profile)
      watcher.add(each)
    }
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', onWarning)
    expect(warnings).toEqual([])
    expect(count().map((now, i) => now - before[i]!)).toEqual([1, 1, 0, 0, 0, 1])
    for (const each of accepted) expect(watcher.has(each)).toBe(true)
  })
})

describe('a connecting socket that is probed many times', () => {
  it('gets one listener for each event, and every probe resolves', async () => {
    const socket = net.connect(await httpPort(), '127.0.0.1')
    closedAfterwards(socket, (it) => it.destroy())
    const count = () => ['connect', 'close'].map((event) => socket.listenerCount(event))
    const before = count()
    const controller = new AbortController()
    const given = probe(socket, { signal: controller.signal })
    const probes = Array.from({ length: 12 }, () => probe(socket))
    expect(count().map((now, i) => now - before[i]!)).toEqual([1, 1])
    controller.abort()
    expect(await given).toMatchObject({ evidence: 'aborted' })
    for (const each of await Promise.all(probes)) expect(each).toMatchObject({ alive: true })
    expect(count()).toEqual(before)
  })

  it('is still followed after the program has removed all listeners', async () => {
    const socket = net.connect(await httpPort(), '127.0.0.1')
    closedAfterwards(socket, (it) => it.destroy())
    void probe(socket)
    socket.removeAllListeners('connect')
    expect(await probe(socket)).toMatchObject({ alive: true })
  })
})

describe('a response that waits for its turn in a pipeline', () => {
  it.each([
    { what: 'and is sent later', isSentAtOnce: false },
    { what: 'and is sent as soon as it has the connection', isSentAtOnce: true },
  ])('is alive for probe $what', async ({ isSentAtOnce }) => {
    const responses: http.ServerResponse[] = []
    const port = await httpPort((_, response) => void responses.push(response))
    const client = closedAfterwards(net.connect(port, '127.0.0.1'), (it) => it.destroy())
    client.resume().write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => responses.length === 2)
    const [first, second] = responses as [http.ServerResponse, http.ServerResponse]
    expect(second.socket).toBe(null)
    if (isSentAtOnce) second.end('two')
    const probing = probe(second)
    first.end('one')
    expect(await probing).toMatchObject({ alive: true })
  })
})

describe('a WebSocket of ws', () => {
  it('is tuned and watched on the connection that it is redirected to', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    const location = `ws://127.0.0.1:${await listening(server)}`
    const web = http.createServer()
    web.on('upgrade', (_, socket) => socket.end(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\n\r\n`))
    web.listen(0, '127.0.0.1')
    await once(
      closedAfterwards(web, (it) => it.close()),
      'listening',
    )
    const { port } = web.address() as net.AddressInfo
    const target = new WebSocket(`ws://127.0.0.1:${port}`, { followRedirects: true })
    closedAfterwards(target, (it) => it.terminate()).on('error', () => {})
    const watcher = closedAfterwards(watch(), (it) => it.close())
    tune(target, profile)
    watcher.add(target)
    await once(target, 'open')
    expect(socketOf(target as never).remotePort).toBe((server.address() as net.AddressInfo).port)
    expect(inspect(target).profile).toMatchObject(profile)
    expect(watcher.has(target)).toBe(true)
  })

  it('ends the wait of probe when it is refused, and leaves nothing watched', async () => {
    const target = new WebSocket(`ws://127.0.0.1:${await httpPort()}`)
    target.on('error', () => {})
    const watcher = closedAfterwards(watch(), (it) => it.close())
    tune(target, profile)
    watcher.add(target)
    const probing = probe(target)
    await new Promise((resolve) => target.once('close', resolve))
    await probing
    await until(() => watcher.size === 0)
    expect(watcher.has(target)).toBe(false)
    expect(['open', 'redirect', 'close'].map((event) => target.listenerCount(event))).toEqual([0, 0, 0])
  })

  it('gets the probe result closed when its server cannot be reached', async () => {
    const gone = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(gone, 'listening')
    const { port } = gone.address() as net.AddressInfo
    await new Promise((resolve) => gone.close(resolve))
    const target = new WebSocket(`ws://127.0.0.1:${port}`).on('error', () => {})
    expect(await probe(target)).toMatchObject({ alive: false, evidence: 'closed' })
  })
})

describe('a stream made from a WebSocket', () => {
  it('can be tuned after each reconnect of an mqtt client over ws://', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    const port = await listening(server)
    const connack = Buffer.from([0x20, 2, 0, 0])
    server.on('connection', (peer) => peer.once('message', () => peer.send(connack)))
    const client = mqtt.connect(`ws://127.0.0.1:${port}`, { keepalive: 0, reconnectPeriod: 10 })
    closedAfterwards(client, (it) => it.endAsync(true))
    client.on('error', () => {})
    for (let times = 0; times < 2; times++) {
      await new Promise<void>((resolve) => client.once('connect', () => resolve()))
      tune(client.stream, profile)
      expect(inspect(client.stream).profile).toMatchObject(profile)
      for (const peer of server.clients) peer.terminate()
    }
  })

  it('is distinguished from other streams', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    const port = await listening(server)
    const sockets = Array.from({ length: 5 }, () => new WebSocket(`ws://127.0.0.1:${port}`))
    await Promise.all(sockets.map((socket) => once(socket, 'open')))
    const streams = sockets.map((socket) => createWebSocketStream(socket).on('error', () => {}))
    expect(streams.map((stream) => socketOf(stream))).toEqual(
      sockets.map((socket) => socketOf(socket as never)),
    )
    expect(sockets.map(({ isPaused }) => isPaused)).toEqual([false, false, false, false, false])
    for (const socket of sockets) socket.terminate()
  })
})
