import { getEventListeners, once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import type net from 'node:net'
import tls from 'node:tls'
import { afterAll, describe, expect, it } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { descriptorOf, socketOf } from '../../src/connection/target.js'
import { inspect, type ProbeResult, probe, probeAll, profiles, type Target, tune } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { certificate } from '../support/certificate.js'
import { connectPair, listen, type Pair } from '../support/connections.js'
import { awaitIdle, idlePair, kernelOptions, sentBy, silenceOf } from '../support/idle-connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { until } from '../support/until.js'

/** The delay in ms that a busy machine may add to a result that takes no time, or one round trip on loopback. */
const AT_ONCE = 250

/** Three attempts, 510 ms apart, the last of which waits 300 ms. */
const ALL_ATTEMPTS = 2 * 510 + 300

const closing: { close(): unknown }[] = []
afterAll(() => {
  for (const each of closing) each.close()
})

function closedInTheEnd<T extends { close(): unknown }>(each: T): T {
  closing.push(each)
  return each
}

async function timed(run: () => Promise<ProbeResult>): Promise<{ result: ProbeResult; took: number }> {
  const start = performance.now()
  const result = await run()
  return { result, took: performance.now() - start }
}

/** One probe is sent and acknowledged, no payload is sent, and every option is as before. */
async function expectAnswer(target: Target, socket: net.Socket): Promise<void> {
  await awaitIdle(socket)
  const before = { options: kernelOptions(socket), sent: sentBy(socket) }
  const { evidence, alive, attempts, rtt, idleFor } = await probe(target)
  expect({ evidence, alive, attempts }).toEqual({ evidence: 'ack', alive: true, attempts: 1 })
  expect(rtt).toBeLessThan(AT_ONCE)
  expect(idleFor).toBeLessThan(AT_ONCE)
  expect(sentBy(socket)).toEqual({ ...before.sent, segments: before.sent.segments + 1 })
  expect(kernelOptions(socket)).toEqual(before.options)
}

describe.concurrent('probe', () => {
  describe('of a connection with recent traffic', () => {
    it('resolves with recent and sends no probe if the peer was heard within the last second', async () => {
      const { socket } = await connectPair()
      const sent = sentBy(socket)
      const result = await probe(socket)
      expect(result).toEqual({
        alive: true,
        evidence: 'recent',
        attempts: 0,
        idleFor: expect.any(Number),
        path: 'answers',
      })
      expect(result.idleFor).toBeLessThan(1_000)
      expect(sentBy(socket)).toEqual(sent)
    })
  })

  describe('of a peer that acknowledges', () => {
    it.each(['127.0.0.1', '::1', '::ffff:127.0.0.1'])(
      'works from both ends with keepalive off: %s',
      async (host) => {
        const { socket, peer } = await connectPair({ host })
        expect(kernelOptions(socket).enable).toBe(false)
        await expectAnswer(socket, socket)
        await expectAnswer(peer, peer)
      },
    )

    it.each(['cloud', 'patient'] as const)('works with keepalive on: %s', async (preset) => {
      const { socket } = await connectPair()
      tune(socket, preset)
      await expectAnswer(socket, socket)
      expect(kernelOptions(socket)).toMatchObject(profiles[preset])
    })

    it('accepts the number of a descriptor', async () => {
      const { socket, peer } = await connectPair()
      await expectAnswer(descriptorOf(socket), socket)
      await expectAnswer(descriptorOf(peer), peer)
    })

    it('accepts both ends of a TLS connection', async () => {
      const server = closedInTheEnd(tls.createServer(certificate()))
      const accepting = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>
      const socket = tls.connect({ port: await listen(server), host: '127.0.0.1', rejectUnauthorized: false })
      const [[peer]] = await Promise.all([accepting, once(socket, 'secureConnect')])
      await expectAnswer(socket, socket)
      await expectAnswer(peer, peer)
      socket.destroy()
    })

    it('accepts a ClientRequest, an IncomingMessage and a ServerResponse', async () => {
      const server = closedInTheEnd(http.createServer())
      const accepting = once(server, 'request') as Promise<[http.IncomingMessage, http.ServerResponse]>
      const request = http.get({ port: await listen(server), host: '127.0.0.1', agent: false })
      const [incoming, response] = await accepting
      await expectAnswer(request, request.socket!)
      await expectAnswer(incoming, incoming.socket)
      await expectAnswer(response, response.socket!)
      response.end()
      const [answer] = (await once(request, 'response')) as [http.IncomingMessage]
      answer.resume()
      request.destroy()
    })

    it('accepts both ends of an Http2Session', async () => {
      const server = closedInTheEnd(http2.createServer())
      const accepting = once(server, 'session') as Promise<[http2.ServerHttp2Session]>
      const session = http2.connect(`http://127.0.0.1:${await listen(server)}`)
      const [[accepted]] = await Promise.all([accepting, once(session, 'remoteSettings')])
      for (const end of [session, accepted]) await expectAnswer(end, socketOf(end))
      session.destroy()
    })

    it('accepts both ends of a ws WebSocket', async () => {
      const server = closedInTheEnd(new WebSocketServer({ port: 0, host: '127.0.0.1' }))
      await once(server, 'listening')
      const accepting = once(server, 'connection') as Promise<[WebSocket]>
      const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as net.AddressInfo).port}`)
      const [[accepted]] = await Promise.all([accepting, once(socket, 'open')])
      for (const end of [socket, accepted]) {
        await expectAnswer(end, (end as unknown as { _socket: net.Socket })._socket)
      }
      socket.terminate()
    })

    it('returns results in order, and probes a connection that is listed twice only once', async () => {
      const [first, second] = [await idlePair(), await idlePair()]
      second.socket.destroy()
      const sent = sentBy(first.socket)
      const evidence = (await probeAll([first.socket, second.socket, first.socket])).map(
        (each) => each.evidence,
      )
      expect(evidence).toEqual(['ack', 'closed', 'ack'])
      expect(sentBy(first.socket).segments).toBe(sent.segments + 1)
      expect(await probeAll([])).toEqual([])
    })
  })

  describe('of an unresponsive peer', () => {
    it.runIf(hasNetAdmin).each([
      [1, 300],
      [3, ALL_ATTEMPTS],
    ])('resolves with silence after %s attempts', async (attempts, expected) => {
      const { socket, peer } = await idlePair()
      const before = kernelOptions(socket)
      const sent = sentBy(socket)
      blackHole(peer)
      const { result, took } = await timed(() => probe(socket, { attempts }))
      expect(result).toEqual({
        alive: false,
        evidence: 'silence',
        attempts,
        idleFor: expect.any(Number),
        path: 'answers',
      })
      expect(result.idleFor).toBeGreaterThan(1_000)
      expect(took).toBeGreaterThan(expected - 1)
      expect(took).toBeLessThan(expected + AT_ONCE)
      expect(sentBy(socket)).toEqual({ ...sent, segments: sent.segments + attempts })
      // Keepalive was off, and is again.
      await until(() => kernelOptions(socket).enable === false)
      expect(kernelOptions(socket)).toEqual(before)
    })

    it.runIf(hasNetAdmin)('waits for timeout in each attempt', async () => {
      const { socket, peer } = await idlePair()
      blackHole(peer)
      const { took } = await timed(() => probe(socket, { attempts: 2, timeout: 900 }))
      expect(took).toBeGreaterThan(1_800 - 1)
      expect(took).toBeLessThan(1_800 + AT_ONCE)
    })

    it.runIf(hasNetAdmin)('resolves with alive if the peer acknowledges only the last attempt', async () => {
      const { socket, peer } = await idlePair()
      const hole = blackHole(peer, { segments: 2 })
      const { result } = await timed(() => probe(socket))
      await hole.done
      expect(result).toMatchObject({ alive: true, evidence: 'ack', attempts: 3 })
      expect(result).not.toHaveProperty('rtt')
    })

    it.runIf(hasNetAdmin)(
      "sends no probe of its own while the kernel is probing, and counts the kernel's",
      async () => {
        const { socket, peer } = await connectPair()
        tune(socket, { initialDelay: 1_000, interval: 1_000, count: 20 })
        blackHole(peer)
        const { segments } = sentBy(socket)
        await until(() => inspect(socket).info!.probes! >= 2)
        const options = kernelOptions(socket)
        const asked = probe(socket)
        await until(() => inspect(socket).info!.probes! >= 3)
        expect(kernelOptions(socket)).toEqual(options)
        expect(await asked).toMatchObject({ alive: false, evidence: 'silence', attempts: 3 })
        // The kernel's timers of seconds are up to an eighth late, by a different amount for each connection. This waits for a connection
        // whose timer is later than two clocks may differ.
        expect(sentBy(socket).segments - segments).toBe(inspect(socket).info!.probes!)
      },
    )

    it('waits for a late probe of the kernel instead of sending its own', async () => {
      // The kernel's timers of seconds are up to an eighth late, by a different amount for each connection. This waits for a connection whose
      const sockets: net.Socket[] = []
      for (let i = 0; i < 10; i++) {
        const { socket } = await connectPair()
        tune(socket, { initialDelay: 3_000, interval: 60_000 })
        sockets.push(socket)
        await new Promise((resolve) => setTimeout(resolve, 30))
      }
      let late: net.Socket | undefined
      const isLate = () => {
        late = sockets.find((socket) => silenceOf(socket) >= 3_040 && inspect(socket).info!.probes === 0)
        return late !== undefined
      }
      await until(isLate, 10_000, 1)
      const socket = late!
      const before = { options: kernelOptions(socket), sent: sentBy(socket) }
      let result: ProbeResult | undefined
      void probe(socket).then((answer) => {
        result = answer
      })
      const isAnswered = () => {
        expect(kernelOptions(socket)).toEqual(before.options)
        return result !== undefined
      }
      await until(isAnswered, 10_000, 1)
      expect(result).toMatchObject({ alive: true, evidence: 'ack', attempts: 1 })
      expect(sentBy(socket).segments).toBe(before.sent.segments + 1)
    })

    it.runIf(hasNetAdmin)(
      'resolves with undefined after the usual time if the kernel is probing at longer intervals than that',
      async () => {
        const { socket, peer } = await connectPair()
        tune(socket, { initialDelay: 1_000, interval: 60_000, count: 20 })
        blackHole(peer)
        await until(() => inspect(socket).info!.probes === 1)
        const { result, took } = await timed(() => probe(socket))
        expect(result).toMatchObject({ alive: undefined, evidence: 'silence', attempts: 1 })
        expect(took).toBeGreaterThan(ALL_ATTEMPTS - 1)
        expect(took).toBeLessThan(ALL_ATTEMPTS + AT_ONCE)
      },
    )
  })

  async function write(socket: net.Socket): Promise<void> {
    const { bytes } = sentBy(socket)
    socket.write('x')
    await until(() => sentBy(socket).bytes > bytes)
  }

  describe('of a connection that is retransmitting', () => {
    it.runIf(hasNetAdmin)('resolves with dead for a peer that is gone with data in flight', async () => {
      const { socket, peer } = await idlePair()
      const options = kernelOptions(socket)
      blackHole(peer)
      await write(socket)
      const result = await probe(socket)
      expect(result).toMatchObject({ alive: false, evidence: 'retransmitting', attempts: 3 })
      const { segsOut, retransmits } = inspect(socket).info!
      expect(retransmits).toBe(2)
      // Handshake, data and its retransmissions, the first of them a tail loss probe. No probe of ours is among them.
      expect(segsOut).toBeLessThanOrEqual(2 + 1 + 1 + 2)
      expect(kernelOptions(socket)).toEqual(options)
    })

    it.runIf(hasNetAdmin)(
      'resolves with undefined if the kernel has retransmitted fewer times than attempts',
      async () => {
        const { socket, peer } = await idlePair()
        blackHole(peer)
        await write(socket)
        // The kernel retransmits after 0.2, 0.6, 1.4 and 3 s. The probe waits for 2.9 s.
        const result = await probe(socket, { attempts: 6 })
        expect(result).toMatchObject({ alive: undefined, evidence: 'retransmitting' })
        expect(result.attempts).toBeLessThan(6)
      },
    )

    it.runIf(hasNetAdmin)('resolves with alive if the peer acknowledges a retransmission', async () => {
      const { socket, peer } = await idlePair()
      const hole = blackHole(peer)
      await write(socket)
      const asked = probe(socket)
      await until(() => inspect(socket).info!.retransmits! >= 1)
      hole.restore()
      expect(await asked).toMatchObject({ alive: true, evidence: 'ack' })
    })

    it.runIf(hasNetAdmin)(
      'resolves with dead by the retransmissions of data that is written during the probe',
      async () => {
        const { socket, peer } = await idlePair()
        blackHole(peer)
        const asked = probe(socket)
        await until(() => inspect({ socket }).info!.segsOut! > 2)
        await write(socket)
        expect(await asked).toMatchObject({ alive: false, evidence: 'retransmitting' })
      },
    )
  })

  /** Writes more than the peer, which reads nothing, has room for. */
  async function fill({ socket }: Pair): Promise<void> {
    while (socket.writableLength < 4 * 2 ** 20) socket.write(Buffer.alloc(2 ** 16))
    await until(() => {
      const { notsentBytes, unacked } = inspect(socket).info!
      return notsentBytes! > 0 && unacked === 0 && silenceOf(socket) >= 1_000
    })
  }

  describe('of a connection whose window is closed', () => {
    it('never resolves with dead for a peer that acknowledges window probes and does not read', async () => {
      const pair = await connectPair()
      const { socket } = pair
      await fill(pair)
      const options = kernelOptions(socket)
      const met = new Set<string>()
      // The kernel sends window probes after 0.2, 0.6, 1.4, 3 and 6.2 s. `probe` is called many times between two of them.
      const end = performance.now() + 7_000
      while (performance.now() < end) {
        const { alive, evidence } = await probe(socket)
        expect(['window-probe', 'recent']).toContain(evidence)
        expect(alive).not.toBe(false)
        met.add(`${evidence} ${alive}`)
        if (evidence === 'recent') await awaitIdle(socket)
      }
      expect(met).toContain('window-probe true')
      expect(met).toContain('window-probe undefined')
      expect(kernelOptions(socket)).toEqual(options)
    })

    it.runIf(hasNetAdmin)(
      'resolves with dead once as many window probes as attempts are unacknowledged',
      async () => {
        const pair = await connectPair()
        await fill(pair)
        blackHole(pair.peer)
        await until(() => inspect(pair.socket).info!.probes! >= 1)
        const results = await Promise.all([probe(pair.socket), probe(pair.socket, { attempts: 1 })])
        expect(results[0]).toMatchObject({ alive: undefined, evidence: 'window-probe' })
        expect(results[1]).toMatchObject({ alive: false, evidence: 'window-probe' })
        expect(results[1].attempts).toBeGreaterThanOrEqual(1)
      },
    )
  })

  const CLOSED: ProbeResult = { alive: false, evidence: 'closed', attempts: 0, idleFor: Number.NaN }

  describe('of a connection that is closed or closing', () => {
    it('resolves with closed for a destroyed socket', async () => {
      const { socket, peer } = await connectPair()
      const fd = descriptorOf(socket)
      socket.destroy()
      expect(await probe(socket)).toEqual(CLOSED)
      await once(socket, 'close')
      expect(await probe(socket)).toEqual(CLOSED)
      expect(await probe(19_999)).toEqual(CLOSED)
      expect(fd).toBeGreaterThan(0)
      peer.destroy()
    })

    it("resolves with undefined after the peer's FIN", async () => {
      const { socket, peer } = await connectPair({ allowHalfOpen: true })
      socket.pause()
      peer.end()
      await until(() => inspect(socket).verdict === 'closing')
      expect(await probe(socket)).toMatchObject({ alive: undefined, evidence: 'closed', attempts: 0 })
      await awaitIdle(socket)
      const sent = sentBy(socket)
      expect(await probe(socket)).toMatchObject({ alive: undefined, evidence: 'closed', attempts: 0 })
      expect(sentBy(socket)).toEqual(sent)
    })

    it('resolves with undefined after our own FIN', async () => {
      const { socket, peer } = await connectPair({ allowHalfOpen: true })
      peer.pause()
      socket.end()
      await until(() => inspect(socket).verdict === 'closing')
      expect(await probe(socket)).toMatchObject({ alive: undefined, evidence: 'closed', attempts: 0 })
    })

    it("resolves with dead after the peer's reset", async () => {
      const { socket, peer } = await connectPair()
      peer.resetAndDestroy()
      await until(() => socket.destroyed)
      expect(await probe(socket)).toEqual(CLOSED)
    })

    it('resolves with dead after a reset of the peer that Node has not read yet', async () => {
      const { socket, peer } = await connectPair()
      const fd = descriptorOf(peer)
      // While paused, Node neither reads nor polls.
      peer.pause()
      await write(socket)
      await until(() => inspect(peer).info!.bytesReceived! > 0)
      socket.resetAndDestroy()
      // Synchronously, before Node reads the reset.
      const asked = probe(fd)
      expect(await asked).toEqual(CLOSED)
    })

    const inMidProbe: [string, (pair: Pair) => void, Partial<ProbeResult>][] = [
      ['socket.destroy()', ({ socket }) => socket.destroy(), { alive: false }],
      ["the peer's FIN", ({ peer }) => peer.end(), { alive: undefined }],
      ["the peer's reset", ({ peer }) => peer.resetAndDestroy(), { alive: false }],
    ]
    it.runIf(hasNetAdmin).each(inMidProbe)(
      'resolves at once after %s during the probe',
      async (_, close, expected) => {
        const pair = await idlePair({ allowHalfOpen: true })
        blackHole(pair.peer)
        const asked = timed(() => probe(pair.socket))
        await until(() => inspect(pair.socket).info!.segsOut! > 2)
        close(pair)
        const { result, took } = await asked
        expect(result).toMatchObject({ ...expected, evidence: 'closed', attempts: 1 })
        expect(took).toBeLessThan(AT_ONCE)
      },
    )
  })

  describe('with a signal', () => {
    it('sends no probe if the signal is already aborted', async () => {
      const { socket } = await idlePair()
      const sent = sentBy(socket)
      const result = await probe(socket, { signal: AbortSignal.abort() })
      expect(result).toEqual({ alive: undefined, evidence: 'aborted', attempts: 0, idleFor: Number.NaN })
      expect(sentBy(socket)).toEqual(sent)
    })

    it('sends no probe if the signal is aborted in the same turn', async () => {
      const { socket } = await idlePair()
      const before = { sent: sentBy(socket), options: kernelOptions(socket) }
      const controller = new AbortController()
      const asked = probe(socket, { signal: controller.signal })
      controller.abort()
      expect(await asked).toMatchObject({ alive: undefined, evidence: 'aborted', attempts: 0 })
      // The second call is answered. Only its probe leaves.
      expect(await probe(socket)).toMatchObject({ evidence: 'ack' })
      expect(sentBy(socket).segments).toBe(before.sent.segments + 1)
      expect(kernelOptions(socket)).toEqual(before.options)
    })

    it.runIf(hasNetAdmin)(
      'resolves at once when it is aborted during the probe, and restores the options once the peer is heard',
      async () => {
        const { socket, peer } = await idlePair()
        tune(socket, 'cloud')
        const before = kernelOptions(socket)
        const hole = blackHole(peer)
        const controller = new AbortController()
        const asked = probe(socket, { signal: controller.signal })
        await until(() => inspect({ socket }).info!.segsOut! > 2)
        const start = performance.now()
        controller.abort()
        expect(await asked).toMatchObject({ alive: undefined, evidence: 'aborted', attempts: 1 })
        expect(performance.now() - start).toBeLessThan(AT_ONCE)
        expect(inspect(socket).profile).toMatchObject(before)
        hole.restore()
        peer.write('.')
        await until(() => inspect(socket).pending === undefined)
        expect(kernelOptions(socket)).toEqual(before)
      },
    )

    it.runIf(hasNetAdmin)(
      'ends one of two joined probes when its signal is aborted, and the other gets its result',
      async () => {
        const { socket, peer } = await idlePair()
        const sent = sentBy(socket)
        const hole = blackHole(peer)
        const controller = new AbortController()
        const aborted = probe(socket, { signal: controller.signal })
        const other = probe(socket, { attempts: 2 })
        await until(() => sentBy(socket).segments > sent.segments)
        controller.abort()
        expect(await aborted).toMatchObject({ evidence: 'aborted' })
        hole.restore()
        expect(await other).toMatchObject({ alive: true, evidence: 'ack', attempts: 2 })
        expect(sentBy(socket).segments).toBe(sent.segments + 2)
      },
    )

    it('handles a thousand probes under one signal without a warning, and leaves no listener on it', async () => {
      const { socket } = await connectPair()
      const warnings: Error[] = []
      const note = (warning: Error) => void warnings.push(warning)
      process.on('warning', note)
      const { signal } = new AbortController()
      await Promise.all(Array.from({ length: 1_000 }, () => probe(socket, { signal })))
      // Node emits warnings in the next turn.
      await new Promise(setImmediate)
      process.off('warning', note)
      expect(getEventListeners(signal, 'abort')).toEqual([])
      expect(warnings).toEqual([])
    })
  })

  describe('calls for the same connection', () => {
    it.runIf(hasNetAdmin)('have each their own number of attempts', async () => {
      const { socket, peer } = await idlePair()
      const sent = sentBy(socket)
      blackHole(peer)
      const [one, two] = await Promise.all([
        timed(() => probe(socket, { attempts: 1 })),
        timed(() => probe(socket, { attempts: 2 })),
      ])
      expect(one.result).toMatchObject({ evidence: 'silence', attempts: 1 })
      expect(two.result).toMatchObject({ evidence: 'silence', attempts: 2 })
      expect(one.took).toBeLessThan(300 + AT_ONCE)
      expect(two.took).toBeLessThan(810 + AT_ONCE)
      expect(sentBy(socket).segments).toBe(sent.segments + 2)
    })

    it.runIf(hasNetAdmin).each([undefined, 60_000])(
      'are as far apart as attempts if they follow each other (initialDelay %s)',
      async (initialDelay) => {
        const { socket, peer } = await idlePair()
        if (initialDelay) tune(socket, { initialDelay })
        blackHole(peer)
        const sent = sentBy(socket)
        const start = performance.now()
        for (let i = 0; i < 3; i++) {
          const result = await probe(socket, { attempts: 1 })
          expect(result).toMatchObject({ alive: false, evidence: 'silence', attempts: 1 })
        }
        // A healthy peer whose acknowledgement was lost sends no other for half a second (tcp_invalid_ratelimit).
        expect(performance.now() - start).toBeGreaterThan(ALL_ATTEMPTS - 1)
        expect(sentBy(socket).segments).toBe(sent.segments + 3)
      },
    )

    it.runIf(hasNetAdmin)(
      'end after their own timeouts if the second joins while the kernel is probing',
      async () => {
        const { socket, peer } = await connectPair()
        tune(socket, { initialDelay: 1_000, interval: 60_000, count: 20 })
        blackHole(peer)
        await until(() => inspect(socket).info!.probes === 1)
        const first = probe(socket)
        await new Promise((resolve) => setTimeout(resolve, 200))
        const { result, took } = await timed(() => probe(socket, { attempts: 2 }))
        expect(result).toMatchObject({ alive: undefined, evidence: 'silence', attempts: 1 })
        expect(took).toBeLessThan(510 + 300 + AT_ONCE)
        await first
      },
    )

    it.runIf(hasNetAdmin)(
      "wait for the acknowledgement of the kernel's probe if the second joins when that probe is about to leave",
      async () => {
        const { socket } = await connectPair()
        tune(socket, { initialDelay: 2_000, interval: 60_000 })
        await until(() => silenceOf(socket) >= 1_500)
        const sent = sentBy(socket)
        const first = probe(socket, { attempts: 1 })
        await new Promise((resolve) => setTimeout(resolve, 50))
        const second = probe(socket, { attempts: 1, timeout: 100 })
        for (const result of await Promise.all([first, second])) {
          expect(result).toMatchObject({ alive: true, evidence: 'ack', attempts: 1 })
        }
        expect(sentBy(socket).segments).toBe(sent.segments + 1)
      },
    )
  })
})
