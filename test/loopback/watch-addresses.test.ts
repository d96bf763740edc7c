import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { afterAll, describe, expect, it } from 'vitest'
import { type Closing, type Death, type Recovery, type Suspicion, tune, watch } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { certificate } from '../support/certificate.js'
import { connectPair, listen } from '../support/connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { backUp, isReading, pairIn, type Situation } from '../support/stream-states.js'
import { until } from '../support/until.js'

// Once a connection has ended, `socket.remoteAddress` is undefined. What a watcher tells has the addresses.

const closing: (() => void)[] = []
afterAll(() => {
  for (const close of closing) close()
})

/** As Node tells them while the connection is open. */
function addressesOf(socket: net.Socket) {
  const { remoteAddress: address, remotePort: port, remoteFamily: family } = socket
  return { local: socket.address(), remote: { address, port, family } }
}

function watching(options?: Parameters<typeof watch>[0]) {
  const watcher = watch(options)
  closing.push(() => watcher.close())
  return watcher
}

const hosts = [
  { family: 'IPv4', listensOn: '127.0.0.1', dials: '127.0.0.1', address: '127.0.0.1' },
  { family: 'IPv6', listensOn: '::1', dials: '::1', address: '::1' },
  { family: 'IPv4 on an IPv6 socket', listensOn: '::', dials: '127.0.0.1', address: '::ffff:127.0.0.1' },
]

interface Ends {
  readonly watched: net.Socket
  readonly peer: net.Socket
}

/** How a connection came to be watched. */
const ways: Record<
  string,
  (watcher: ReturnType<typeof watch>, server: net.Server, to: net.TcpNetConnectOpts) => Promise<Ends>
> = {
  async 'while it was connecting'(watcher, server, to) {
    const accepted = once(server, 'connection') as Promise<[net.Socket]>
    const watched = net.connect(to)
    watcher.add(watched)
    const [[peer]] = await Promise.all([accepted, once(watched, 'connect')])
    return { watched, peer }
  },
  async 'once it was connected'(watcher, server, to) {
    const accepted = once(server, 'connection') as Promise<[net.Socket]>
    const watched = net.connect(to)
    const [[peer]] = await Promise.all([accepted, once(watched, 'connect')])
    watcher.add(watched)
    return { watched, peer }
  },
  async 'by its server'(watcher, server, to) {
    watcher.add(server)
    const accepted = once(server, 'connection') as Promise<[net.Socket]>
    const peer = net.connect(to)
    const [[watched]] = await Promise.all([accepted, once(peer, 'connect')])
    return { watched, peer }
  },
}

describe.concurrent('a death with both addresses', () => {
  const cases = hosts.flatMap((host) =>
    Object.keys(ways).flatMap((way) =>
      ['reading', 'paused'].map((situation) => ({ ...host, way, situation })),
    ),
  )
  it.for(cases)(
    'is reported for $family, added $way, $situation',
    async ({ listensOn, dials, way, situation, address }) => {
      const watcher = watching()
      const server = net.createServer()
      closing.push(() => server.close())
      const port = await listen(server, listensOn)
      const { watched, peer } = await ways[way]!(watcher, server, { host: dials, port })
      for (const each of [watched, peer]) each.on('error', () => {})
      if (situation === 'reading') watched.resume()
      else await backUp(watched, peer)
      // From the peer: what the watched socket was asked for, Node would remember.
      const seen = addressesOf(peer)
      const died = once(watcher, 'dead') as Promise<[Death]>
      peer.resetAndDestroy()
      const [{ local, remote, socket }] = await died
      expect(socket).toBe(watched)
      await until(() => watched.closed)
      expect(watched.remoteAddress).toBeUndefined()
      expect({ remotePort: remote.port, localPort: local.port }).toEqual({
        remotePort: seen.local && (seen.local as net.AddressInfo).port,
        localPort: seen.remote.port,
      })
      const isAccepted = way === 'by its server'
      const family = dials === '::1' || (isAccepted && listensOn === '::') ? 'IPv6' : 'IPv4'
      const expected = isAccepted ? address : dials
      expect(remote).toEqual({ address: expected, port: remote.port, family })
      expect(local).toEqual({ address: expected, port: local.port, family })
    },
  )

  it.for<Situation>(['reading', 'paused', 'writing', 'half-closed'])(
    'is reported to each watcher, whatever Node is doing with the socket: %s',
    async (situation) => {
      const { socket, peer } = await pairIn(situation)
      const expected = addressesOf(socket)
      const watchers = [watching(), watching({ onDead: 'report' })]
      const died = watchers.map((watcher) => once(watcher.add(socket), 'dead') as Promise<[Death]>)
      peer.resetAndDestroy()
      for (const [death] of await Promise.all(died)) expect(death).toMatchObject(expected)
    },
  )

  it.runIf(hasNetAdmin)('has the addresses of the TCP connection under a TLS connection', async () => {
    const server = tls.createServer(certificate())
    closing.push(() => server.close())
    const port = await listen(server)
    const accepted = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>
    const raw = net.connect(port, '127.0.0.1')
    const socket = tls.connect({ socket: raw, rejectUnauthorized: false })
    const [[peer]] = await Promise.all([accepted, once(socket, 'secureConnect')])
    for (const each of [raw, socket, peer]) each.on('error', () => {})
    const expected = addressesOf(socket)
    const watcher = watching().add(socket)
    tune(socket, { initialDelay: 1_000, interval: 1_000, count: 1 })
    blackHole(peer)
    const [death] = (await once(watcher, 'dead')) as [Death]
    expect(death).toMatchObject(expected)
  })

  it('cannot be changed by a listener', async () => {
    const { socket, peer } = await pairIn('paused')
    const watcher = watching().add(socket)
    const died = once(watcher, 'dead') as Promise<[Death]>
    peer.resetAndDestroy()
    const [death] = await died
    expect([death, death.local, death.remote].map(Object.isFrozen)).toEqual([true, true, true])
  })
})

describe.concurrent('an event with both addresses', () => {
  it.for(['reading', 'paused'] as const)(
    'is closing when the peer closed its side: %s',
    async (situation) => {
      const { socket, peer } = await connectPair()
      if (situation === 'reading') socket.resume()
      else {
        // As much as makes Node stop, and no more: a FIN waits behind what does not fit into the receive window.
        peer.write(Buffer.alloc(socket.readableHighWaterMark))
        await until(() => !isReading(socket))
      }
      const expected = addressesOf(socket)
      const watcher = watching().add(socket)
      const told = once(watcher, 'closing') as Promise<[Closing]>
      peer.end()
      const [event] = await told
      expect(event).toMatchObject(expected)
    },
  )

  it('is closing when the program destroys the socket at the end of the stream', async () => {
    const { socket, peer } = await connectPair()
    const expected = addressesOf(socket)
    const watcher = watching()
    const told = once(watcher, 'closing') as Promise<[Closing]>
    socket.resume().once('end', () => {
      watcher.add(socket)
      socket.destroy()
    })
    peer.end()
    const [event] = await told
    expect(event).toMatchObject(expected)
  })

  it.runIf(hasNetAdmin)('is suspect, and recover', async () => {
    const { socket, peer } = await connectPair()
    const expected = addressesOf(socket)
    const watcher = watching().add(socket)
    tune(socket, { initialDelay: 1_000, interval: 1_000, count: 127 })
    const hole = blackHole(peer)
    const [suspicion] = (await once(watcher, 'suspect')) as [Suspicion]
    const recovered = once(watcher, 'recover') as Promise<[Recovery]>
    hole.restore()
    const [recovery] = await recovered
    expect(suspicion).toMatchObject(expected)
    expect(recovery).toMatchObject(expected)
  })

  it.runIf(hasNetAdmin)('is the death that a heartbeat finds', async () => {
    const { socket, peer } = await connectPair()
    const expected = addressesOf(socket)
    const watcher = watching({ heartbeat: { every: 1_000 } }).add(socket)
    blackHole(peer)
    const [death] = (await once(watcher, 'dead')) as [Death]
    expect(death).toMatchObject({ ...expected, detectedBy: 'heartbeat' })
  })
})
