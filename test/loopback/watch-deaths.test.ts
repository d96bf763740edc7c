import { once } from 'node:events'
import http2 from 'node:http2'
import type net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { Worker } from 'node:worker_threads'
import { afterAll, describe, expect, it } from 'vitest'
import { unwrap } from '../../src/connection/target.js'
import {
  type Death,
  type DeathReason,
  detectionTime,
  inspect,
  PeerDeathError,
  type Profile,
  tune,
  type Watcher,
  watch,
} from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { certificate } from '../support/certificate.js'
import { connectPair, listen } from '../support/connections.js'
import { descriptorOf } from '../support/descriptors.js'
import { hasRtoMax } from '../support/kernel-version.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { backUp, isReading, pairIn, type Situation } from '../support/stream-states.js'
import { latest, TICK, timed } from '../support/tolerance.js'
import { until } from '../support/until.js'

// Each way to die, told once, with its cause. All of it runs at once, since each takes seconds by its nature.

const situations: Situation[] = ['reading', 'paused', 'writing', 'half-closed']
const retransmissions = situations.map((situation) => ({
  situation,
  reason: 'retransmission' as const,
  settings: { rtoMax: 1_000 },
}))

const closing: (() => void)[] = []
afterAll(() => {
  for (const close of closing) close()
})

/** All that a watcher tells. */
function listenTo(watcher: Watcher) {
  const deaths: Death[] = []
  watcher.on('dead', (death) => deaths.push(death))
  closing.push(() => watcher.close())
  return deaths
}

interface Ending {
  death: Death
  /** What the program is told. */
  error: NodeJS.ErrnoException
  after: number
}

/** Watches a socket to its end: told once, and destroyed. */
async function watchToTheEnd(socket: net.Socket, begin: () => void): Promise<Ending> {
  const watcher = watch()
  const deaths = listenTo(watcher)
  const errors: NodeJS.ErrnoException[] = []
  socket.on('error', (error) => errors.push(error))
  watcher.add(socket)
  const start = performance.now()
  begin()
  await once(watcher, 'dead')
  const after = performance.now() - start
  await until(() => socket.closed)
  await delay(100)
  expect(deaths).toHaveLength(1)
  expect(errors).toHaveLength(1)
  expect(watcher.stats()).toEqual({ added: 1, watching: 0, dead: 1, closed: 0, removed: 0 })
  expect(socket.destroyed).toBe(true)
  return { death: deaths[0]!, error: errors[0]!, after }
}

const codes: Partial<Record<DeathReason, string>> = { reset: 'ECONNRESET' }

function expectDeath({ death, error }: Ending, reason: DeathReason, evidence: RegExp) {
  const code = codes[reason] ?? 'ETIMEDOUT'
  expect(death).toMatchObject({ reason, evidence: expect.stringMatching(evidence) })
  expect(death.error).toBeInstanceOf(PeerDeathError)
  expect(death.error).toMatchObject({ code, reason, info: death.info })
  expect(death.info!.state).toBe(7)
  expect(death.silentFor).toBe(Math.min(death.info!.lastAckRecv, death.info!.lastDataRecv))
  if (death.detectedBy === 'kernel') expect(error).toBe(death.error)
  else {
    // What Node says is what the program is told, unless a socket that had been closed by its peer is reset: EPIPE.
    expect(death.error.cause).toBe(error)
    expect([code, ...(reason === 'reset' ? ['EPIPE'] : [])]).toContain(error.code)
  }
}

/** Node does not hear of these: the kernel's word is all there is. */
const unheard: readonly Situation[] = ['paused', 'half-closed']

function expectDetectedBy(death: Death, situation: Situation) {
  if (unheard.includes(situation)) expect(death.detectedBy).toBe('kernel')
}

function expectTime(after: number, predicted: number, sooner = 0) {
  if (!timed) return
  expect(after).toBeGreaterThan(predicted - TICK - sooner)
  expect(after).toBeLessThan(latest(predicted))
}

// The zombie: a paused socket whose buffer is full. Node does not look at it.

const short = { initialDelay: 1_000, interval: 1_000, count: 2 }

interface Zombie {
  /** What the program holds and hears errors of. */
  readonly holder: net.Socket | http2.ClientHttp2Session
  /** The transport. */
  readonly socket: net.Socket
  readonly peer: net.Socket
}

const kinds: Record<string, () => Promise<Zombie>> = {
  async plain() {
    const { socket, peer } = await connectPair()
    await backUp(socket, peer)
    return { holder: socket, socket, peer }
  },

  async TLS() {
    const server = tls.createServer(certificate())
    const port = await listen(server)
    const accepted = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    const [[peer]] = await Promise.all([accepted, once(socket, 'secureConnect')])
    peer.on('error', () => {})
    closing.push(() => {
      server.close()
      peer.destroy()
    })
    await backUp(socket, peer)
    return { holder: socket, socket, peer }
  },

  /** A session reads at all times, whatever its streams do: Node hears of the death. It is to be told once all the same. */
  async 'HTTP/2'() {
    const server = http2.createServer()
    server.on('stream', (stream) => {
      stream.on('error', () => {})
      stream.respond()
      stream.write(Buffer.alloc(2 ** 20))
    })
    const port = await listen(server)
    const accepted = once(server, 'session') as Promise<[http2.ServerHttp2Session]>
    const holder = http2.connect(`http://127.0.0.1:${port}`)
    const stream = holder.request()
    stream.on('error', () => {})
    const [[session]] = await Promise.all([accepted, once(stream, 'response')])
    session.on('error', () => {})
    closing.push(() => {
      holder.destroy()
      session.destroy()
      server.close()
    })
    const socket = unwrap(holder.socket)
    const peer = unwrap(session.socket)
    await until(() => inspect(peer).info!.unacked === 0 && inspect(socket).info!.unacked === 0)
    return { holder, socket, peer }
  },
}

describe.concurrent('a watched connection', () => {
  describe('whose peer vanishes', () => {
    describe.runIf(hasNetAdmin)('with nothing in flight', () => {
      const profile = { initialDelay: 1_000, interval: 1_000, count: 2 }
      it.for<{ situation: Situation; reason: DeathReason; settings: Profile }>([
        { situation: 'reading', reason: 'keepalive', settings: profile },
        { situation: 'paused', reason: 'keepalive', settings: profile },
        { situation: 'half-closed', reason: 'keepalive', settings: profile },
        { situation: 'reading', reason: 'keepalive', settings: { ...profile, userTimeout: 3_000 } },
        {
          situation: 'paused',
          reason: 'user-timeout',
          settings: { ...profile, count: 5, userTimeout: 2_500 },
        },
      ])(
        'is dead by $reason while Node is $situation, with $settings',
        async ({ situation, reason, settings }) => {
          const { socket, peer } = await pairIn(situation)
          tune(socket, settings)
          // The kernel's clock starts when the peer was last heard, and so here.
          socket.write('.')
          await until(() => inspect(socket).info!.unacked === 0)
          const ending = await watchToTheEnd(socket, () => blackHole(peer))
          expectDeath(ending, reason, /^\d probes? unanswered, silent for [23]\.\d s$/)
          expectDetectedBy(ending.death, situation)
          expectTime(ending.death.silentFor!, detectionTime(settings).idle)
        },
      )
    })

    describe.runIf(hasNetAdmin)('with data in flight', () => {
      it.for<{ situation: Situation; reason: DeathReason; settings: Profile }>([
        { situation: 'reading', reason: 'user-timeout', settings: { userTimeout: 1_000 } },
        { situation: 'paused', reason: 'user-timeout', settings: { userTimeout: 1_000 } },
        { situation: 'writing', reason: 'user-timeout', settings: { userTimeout: 1_000 } },
        { situation: 'half-closed', reason: 'user-timeout', settings: { userTimeout: 1_000 } },
        // Without it that takes a quarter of an hour.
        ...(hasRtoMax ? retransmissions : []),
      ])('is dead by $reason while Node is $situation', async ({ situation, reason, settings }) => {
        const { socket, peer } = await pairIn(situation)
        tune(socket, settings)
        const ending = await watchToTheEnd(socket, () => {
          blackHole(peer)
          socket.write('x')
        })
        expectDeath(ending, reason, /^data unacknowledged after \d+ retransmissions?, silent for \d+\.\d s$/)
        // Of a pending write Node hears as well; of a small one that the kernel has taken it does not.
        expectDetectedBy(ending.death, situation)
        // A stream that is under way notices its first loss sooner than a byte after a rest: that takes up to 0.4 s.
        const sooner = situation === 'writing' ? 400 : 0
        expectTime(ending.after, detectionTime(settings).inFlight, sooner)
      })
    })
  })

  it.runIf(hasNetAdmin)(
    'is dead after both sides ended if the peer vanishes before it has all, and what it sent can be read',
    async () => {
      const { socket, peer } = await connectPair({ allowHalfOpen: true })
      const errors: Error[] = []
      socket.on('error', (error) => errors.push(error))
      const watcher = watch()
      const deaths = listenTo(watcher)
      watcher.add(socket)
      tune(socket, { userTimeout: 1_000 })
      peer.end(Buffer.alloc(100_000))
      await once(watcher, 'closing')
      blackHole(peer)
      socket.end('the answer')
      await once(watcher, 'dead')
      expect(deaths).toMatchObject([{ socket, reason: 'user-timeout', detectedBy: 'kernel' }])
      let length = 0
      socket.on('data', (part) => {
        length += part.length
      })
      await once(socket, 'end')
      expect(length).toBe(100_000)
      expect(errors).toEqual([])
    },
  )

  describe('whose peer resets', () => {
    it.for<Situation>(['reading', 'paused', 'writing', 'half-closed'])(
      'is dead by reset while Node is %s',
      async (situation) => {
        const { socket, peer } = await pairIn(situation)
        const ending = await watchToTheEnd(socket, () => peer.resetAndDestroy())
        expectDeath(ending, 'reset', /^reset by the peer \((ECONNRESET|EPIPE)\)$/)
        expectDetectedBy(ending.death, situation)
      },
    )
  })

  it('is dead once if the peer sends and resets right after, while Node is paused', async () => {
    const { socket, peer } = await connectPair()
    const errors: NodeJS.ErrnoException[] = []
    socket.on('error', (error) => errors.push(error))
    socket.on('data', () => {}).pause()
    const watcher = watch()
    const deaths = listenTo(watcher)
    watcher.add(socket)
    // Both are there when Node reads next, and it reads the data and then an end.
    peer.write(Buffer.alloc(100))
    peer.resetAndDestroy()
    await once(watcher, 'dead')
    await until(() => socket.closed)
    expect(deaths).toMatchObject([{ socket, reason: 'reset', error: { code: 'ECONNRESET' } }])
    expect(errors).toMatchObject([{ code: 'ECONNRESET' }])
  })

  describe('whose peer does not read', () => {
    it('is ended by a user timeout behind a closed window (row 7)', async () => {
      const { socket } = await connectPair()
      socket.resume()
      tune(socket, { userTimeout: 2_000 })
      const ending = await watchToTheEnd(socket, () => socket.write(Buffer.alloc(2 ** 24)))
      expectDeath(
        ending,
        'user-timeout',
        /^\d+ bytes waiting behind a closed window, \d+ probes? unanswered, silent for/,
      )
    })
  })

  describe.runIf(hasNetAdmin)('that is backpressured when its peer vanishes', () => {
    it.for(Object.keys(kinds))('is dead, and closed with ETIMEDOUT: %s', async (kind) => {
      const { holder, socket, peer } = await kinds[kind]!()
      const errors: NodeJS.ErrnoException[] = []
      holder.on('error', (error: Error) => errors.push(error))
      const watcher = watch()
      const deaths = listenTo(watcher)
      watcher.add(holder)
      expect(watcher.has(socket)).toBe(true)
      tune(socket, short)
      blackHole(peer)
      const [death] = (await once(watcher, 'dead')) as [Death]
      await until(() => socket.closed && errors.length > 0)
      expect(deaths).toEqual([death])
      expect(death).toMatchObject({ socket, reason: 'keepalive', error: { code: 'ETIMEDOUT' } })
      expect(death.evidence).toMatch(/^2 probes unanswered/)
      if (kind !== 'HTTP/2') expect(death.detectedBy).toBe('kernel')
      expectTime(death.silentFor!, 3_000)
      expect(errors).toMatchObject([{ code: 'ETIMEDOUT' }])
      expect(holder.destroyed).toBe(true)
    })

    it.for(['plain', 'TLS'])('is not reported by Node within 15 s if it is unwatched: %s', async (kind) => {
      const { socket, peer } = await kinds[kind]!()
      const said: string[] = []
      for (const event of ['error', 'end', 'close', 'data', 'timeout'])
        socket.on(event, () => said.push(event))
      // A listener for 'data' would have it read.
      socket.removeAllListeners('data').pause()
      await until(() => !isReading(socket))
      tune(socket, short)
      blackHole(peer)
      await until(() => inspect(socket).info!.state === 7)
      await delay(15_000)
      expect(said).toEqual([])
      expect(socket.destroyed).toBe(false)
      expect(inspect(socket).verdict).toBe('dead')
      socket.on('error', () => {}).destroy()
    })

    it('is reported within 2 ms of the kernel, in the median', async () => {
      const sockets: net.Socket[] = []
      const descriptors = new Map<net.Socket, number>()
      const told = new Map<number, bigint>()
      const watcher = watch()
      closing.push(() => watcher.close())
      watcher.on('dead', ({ socket }) => told.set(descriptors.get(socket)!, process.hrtime.bigint()))
      for (let i = 0; i < 21; i++) {
        const { socket, peer } = await connectPair()
        await backUp(socket, peer)
        tune(socket, short)
        blackHole(peer)
        sockets.push(socket)
        descriptors.set(socket, descriptorOf(socket))
        watcher.add(socket)
        // So that they die one after the other: it is not how long the handling of twenty takes that is asked for.
        await delay(30)
      }
      const witness = new Worker(new URL('fixtures/witness.mjs', import.meta.url), {
        workerData: sockets.map(descriptorOf),
      })
      // When each was first seen dead, by a thread that does nothing but look.
      const [{ seen, period }] = (await once(witness, 'message')) as [
        { seen: Map<number, bigint>; period: number },
      ]
      await until(() => told.size === sockets.length)
      const late = [...told].map(([fd, at]) => Number(at - seen.get(fd)!) / 1e6).sort((a, b) => a - b)
      expect(late).toHaveLength(21)
      if (!timed) return
      // The witness looks so often that it does not matter.
      expect(period).toBeLessThan(0.5)
      expect(late[10]).toBeLessThan(2)
    })
  })
})
