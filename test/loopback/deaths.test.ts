import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  type DeathReason,
  detectionTime,
  inspect,
  type Profile,
  profiles,
  tune,
  watch,
} from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { connectPair, listen, type Pair } from '../support/connections.js'
import { handleOf } from '../support/descriptors.js'
import { hasRtoMax } from '../support/kernel-version.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { latest, TICK, timed } from '../support/tolerance.js'
import { until } from '../support/until.js'

// When the kernel gives a connection up, for each way in which the options of a profile take part. All of it
// runs at once, since each takes seconds by its nature.

const s = 1000
const seconds = (idle: number, interval: number, count: number, more: Profile = {}): Profile => ({
  initialDelay: idle * s,
  interval: interval * s,
  count,
  ...more,
})

const rowEight = { what: 'row 8: retransmissions in shorter steps', profile: { rtoMax: 1_000 } }

/** Has the peer heard from, so that silence counts from then, and returns when the kernel heard it: Node may be told later. */
async function exchange({ socket, peer }: Pair): Promise<number> {
  peer.write('.')
  await once(socket, 'data')
  return performance.now() - inspect(socket).info!.lastDataRecv
}

interface Ending {
  readonly after: number
  readonly code: string | undefined
  /** What the watcher calls it; `undefined` of a connection that never was one. */
  readonly reason: DeathReason | undefined
}

const watcher = watch()
const reasons = new WeakMap<net.Socket, DeathReason>()
watcher.on('dead', ({ socket, reason }) => reasons.set(socket, reason))

/** How long after `start` a socket ends, and with what. */
async function death(socket: net.Socket, start: number): Promise<Ending> {
  watcher.add(socket)
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    socket.once('error', resolve)
    socket.once('close', () => resolve(undefined))
  })
  return { after: performance.now() - start, code: error?.code, reason: reasons.get(socket) }
}

function expectDeath({ after, code, reason }: Ending, predicted: number, expected: DeathReason | undefined) {
  expect(code).toBe('ETIMEDOUT')
  expect(reason).toBe(expected)
  if (!timed) return
  expect(after).toBeGreaterThan(predicted - TICK)
  expect(after).toBeLessThan(latest(predicted))
}

describe.concurrent('a connection on loopback', () => {
  describe.runIf(hasNetAdmin)('whose peer vanishes', () => {
    describe('with nothing in flight', () => {
      it.for<{ what: string; profile: Profile; reason?: DeathReason }>([
        { what: 'row 1', profile: seconds(1, 1, 3) },
        { what: 'row 1', profile: seconds(2, 1, 1) },
        { what: 'row 1', profile: seconds(20, 5, 1) },
        {
          what: 'row 2: the user timeout is one interval',
          profile: seconds(1, 1, 3, { userTimeout: 6_000 }),
        },
        {
          what: 'row 2: between two probes',
          profile: seconds(1, 1, 3, { userTimeout: 2_500 }),
          reason: 'user-timeout',
        },
        {
          what: 'row 2: before the first',
          profile: seconds(1, 1, 3, { userTimeout: 500 }),
          reason: 'user-timeout',
        },
        { what: 'row 2', profile: seconds(1, 3, 2, { userTimeout: 1_500 }), reason: 'user-timeout' },
        { what: 'lan', profile: profiles.lan },
        { what: 'many short probes', profile: seconds(1, 1, 9) },
        { what: 'a long interval', profile: seconds(2, 4, 2) },
      ])('dies after detectionTime().idle ($what): $profile', async ({ profile, reason = 'keepalive' }) => {
        const pair = await connectPair()
        tune(pair.socket, profile)
        const start = await exchange(pair)
        blackHole(pair.peer)
        expectDeath(await death(pair.socket, start), detectionTime(profile).idle, reason)
      })
    })

    describe('with data in flight', () => {
      it.for<{ what: string; profile: Profile }>([
        { what: 'row 5', profile: { userTimeout: 100 } },
        { what: 'row 5', profile: { userTimeout: 2_000 } },
        { what: 'row 5', profile: { userTimeout: 5_000 } },
        { what: 'keepalive has no part in it', profile: seconds(1, 1, 3, { userTimeout: 3_000 }) },
        ...(hasRtoMax ? [rowEight] : []),
      ])('dies after detectionTime().inFlight ($what): $profile', async ({ profile }) => {
        const pair = await connectPair()
        tune(pair.socket, profile)
        await exchange(pair)
        blackHole(pair.peer)
        const start = performance.now()
        pair.socket.write('x')
        const reason = profile.userTimeout ? 'user-timeout' : 'retransmission'
        expectDeath(await death(pair.socket, start), detectionTime(profile).inFlight, reason)
      })

      it('is not ended by keepalive within 12 s without a user timeout (row 4)', async () => {
        const pair = await connectPair()
        tune(pair.socket, seconds(1, 1, 2))
        await exchange(pair)
        blackHole(pair.peer)
        pair.socket.write('x')
        await delay(12_000)
        const { verdict, info } = inspect(pair.socket)
        expect(verdict).toBe('suspect')
        expect(info).toMatchObject({ state: 1, probes: 0 })
        expect(info!.retransmits).toBeGreaterThan(3)
      })

      it.for<{ what: string; profile: Profile; predicted: number | undefined }>([
        {
          what: 'no user timeout: retransmission takes over, and keepalive no longer kills',
          profile: seconds(1, 1, 3),
          predicted: undefined,
        },
        {
          what: 'a user timeout governs',
          profile: seconds(1, 1, 3, { userTimeout: 4_000 }),
          predicted: 2_500 + 4_400,
        },
      ])(
        'dies in time after a write while the kernel is probing (row 6: $what)',
        async ({ profile, predicted }) => {
          const pair = await connectPair()
          tune(pair.socket, profile)
          const start = await exchange(pair)
          blackHole(pair.peer)
          await delay(start + 2_500 - performance.now())
          pair.socket.write('x')
          if (predicted !== undefined) {
            return expectDeath(await death(pair.socket, start), predicted, 'user-timeout')
          }
          await delay(8_000)
          expect(inspect(pair.socket).info?.state).toBe(1)
        },
      )
    })

    it('is alive with no probe counted when the peer comes back while it is probed (row 11)', async () => {
      const pair = await connectPair()
      tune(pair.socket, seconds(1, 1, 5))
      await exchange(pair)
      const gone = blackHole(pair.peer)
      await until(() => inspect(pair.socket).verdict === 'suspect')
      gone.restore()
      await until(() => inspect(pair.socket).info?.probes === 0)
      expect(inspect(pair.socket).verdict).toBe('alive')
    })

    it('is ended by keepalive also after the peer had closed its side (row 12)', async () => {
      const { socket, peer } = await connectPair({ allowHalfOpen: true })
      tune(socket, seconds(1, 1, 3))
      socket.resume()
      const start = performance.now()
      peer.end()
      await once(socket, 'end')
      // A peer that has not heard its FIN acknowledged goes on sending it, and so is heard.
      const FIN_WAIT2 = 5
      await until(() => inspect(peer).info?.state === FIN_WAIT2)
      blackHole(peer)
      // Node has read to the end and looks no more: alone it would never tell.
      expectDeath(await death(socket, start), 4_000, 'keepalive')
    })
  })

  describe.runIf(hasNetAdmin)('a connection attempt that is not answered (row 9)', () => {
    it.for<{ profile: Profile; predicted: number }>([
      { profile: { userTimeout: 2_000 }, predicted: 2_000 },
      { profile: { userTimeout: 500 }, predicted: 1_000 },
      { profile: { synCount: 1 }, predicted: 3_000 },
      { profile: { synCount: 2 }, predicted: 7_000 },
    ])('ends after $predicted ms with $profile', async ({ profile, predicted }) => {
      const server = net.createServer()
      const port = await listen(server)
      const deaf = blackHole(handleOf(server)!.fd!)
      const start = performance.now()
      const socket = net.connect(port, '127.0.0.1')
      tune(socket, profile)
      const ended = await death(socket, start)
      deaf.restore()
      server.close()
      expectDeath(ended, predicted, undefined)
    })
  })

  describe('whose peer is alive', () => {
    it('is not ended by a user timeout alone while it is idle (row 3)', async () => {
      const { socket } = await connectPair()
      tune(socket, { userTimeout: 500 })
      await delay(8_000)
      expect(inspect(socket).verdict).toBe('alive')
    })

    it('outlives its detection time while it is idle', async () => {
      const { socket } = await connectPair()
      tune(socket, seconds(1, 1, 3, { userTimeout: 4_000 }))
      await delay(8_000)
      expect(inspect(socket)).toMatchObject({ verdict: 'alive', profile: { userTimeout: 4_000 } })
    })

    it.for<{ what: string; profile: Profile; predicted: number | undefined }>([
      { what: 'a user timeout ends it', profile: { userTimeout: 3_000 }, predicted: 3_000 },
      { what: 'without one it lives', profile: {}, predicted: undefined },
    ])(
      'is ended by the user timeout if the peer does not read queued data (row 7: $what)',
      async ({ profile, predicted }) => {
        const { socket } = await connectPair()
        tune(socket, { ...seconds(1, 1, 3), ...profile })
        // The peer is paused: what is beyond both buffers stays queued here.
        const start = performance.now()
        const ended = death(socket, start)
        while (socket.writableLength < 2 ** 24) socket.write(Buffer.alloc(2 ** 20))
        if (predicted === undefined) {
          await delay(8_000)
          return expect(inspect(socket).info?.state).toBe(1)
        }
        const { after, code, reason } = await ended
        expect(code).toBe('ETIMEDOUT')
        expect(reason).toBe('user-timeout')
        // The clock starts when the window closes: some way into the writes, and with the first probe of it.
        expect(after).toBeGreaterThan(predicted)
        expect(after).toBeLessThan(latest(predicted) + 500)
      },
    )
  })
})
