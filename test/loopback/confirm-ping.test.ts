import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { probe } from '../../src/index.js'
import { blackHole, deaf } from '../../src/testing/index.js'
import { hasProbeFilter } from '../support/probe-filter.js'

const endings: (() => unknown)[] = []
afterAll(() => endings.forEach((end) => void end()))

async function webSocket() {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const peer = once(server, 'connection').then(([accepted]) => (accepted as { _socket: net.Socket })._socket)
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as net.AddressInfo).port}`)
  client.on('error', () => {})
  await once(client, 'open')
  endings.push(
    () => client.terminate(),
    () => server.close(),
  )
  return { client, peer: await peer }
}

async function http2Session() {
  const server = http2.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const peer = once(server, 'connection').then(([accepted]) => accepted as net.Socket)
  const client = http2.connect(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`)
  client.on('error', () => {})
  await once(client, 'connect')
  endings.push(
    () => client.destroy(),
    () => server.close(),
  )
  return { client, peer: await peer }
}

describe.runIf(hasProbeFilter).each([
  { of: 'a WebSocket', connect: webSocket },
  { of: 'an HTTP/2 session', connect: http2Session },
])('the ping of $of', ({ connect }) => {
  it('shows that the peer is alive on a deaf path, and that it is gone in a black hole', async () => {
    const { client, peer } = await connect()
    deaf(peer)
    await delay(1_200)
    const options = { attempts: 2, confirm: 'ping' } as const
    expect(await probe(client, options)).toMatchObject({ alive: true, evidence: 'confirmed', path: 'deaf' })
    blackHole(peer)
    await delay(1_200)
    expect(await probe(client, options)).toMatchObject({ alive: false, evidence: 'retransmitting' })
  })
})

it('is refused on a connection without either', async () => {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
  await once(socket, 'connect')
  endings.push(
    () => socket.destroy(),
    () => server.close(),
  )
  await expect(probe(socket, { confirm: 'ping' })).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE',
    field: 'confirm',
  })
})
