import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { handleOf } from '../../src/connection/target.js'
import { defineProfile, inspect, type Profile, tune, tuneAll } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { connect, connectPair, listen } from '../support/connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { latest, TICK } from '../support/tolerance.js'
import { until } from '../support/until.js'

const wanted = defineProfile({ initialDelay: 2_000, interval: 1_000, count: 3, userTimeout: 5_000 })

/** Longer than the detection time of the profile, so a connection that tuning kills has ended by then. */
const DETECTION = 5_000 + 1_000

describe.concurrent('tune of a connection that could end by its new values', () => {
  it.for<[string, (sockets: Awaited<ReturnType<typeof connect>>) => Promise<void>]>([
    [
      'tuneAll',
      async (pairs) =>
        void (await tuneAll(
          pairs.map(({ socket }) => socket),
          wanted,
        )),
    ],
    ['a plain loop of tune', async (pairs) => pairs.forEach(({ socket }) => void tune(socket, wanted))],
  ])(
    'ends none of 4,000 healthy connections that were idle for longer than initialDelay and userTimeout: %s',
    async ([, tuneThem]) => {
      const pairs = await connect(4_000)
      const errors: Error[] = []
      for (const { socket } of pairs) socket.on('error', (error) => errors.push(error))
      await delay(7_000)
      await tuneThem(pairs)
      await until(() => pairs.every(({ socket }) => inspect(socket).pending === undefined))
      await delay(DETECTION)
      expect(errors).toEqual([])
      for (const { socket } of pairs) {
        expect(inspect(socket).inForce).toMatchObject(wanted)
        // A probe of the kernel may be unacknowledged at any moment.
        await until(() => inspect(socket).verdict === 'alive')
      }
    },
  )

  it.runIf(hasNetAdmin)('keeps the connection open when the first probe is lost', async () => {
    const { socket, peer } = await connectPair()
    const errors: Error[] = []
    socket.on('error', (error) => errors.push(error))
    await delay(7_000)
    const gone = blackHole(peer)
    tune(socket, wanted)
    expect(inspect(socket)).toMatchObject({
      pending: { userTimeout: 5_000 },
      profile: wanted,
      inForce: { userTimeout: 0, count: 3 },
    })
    await until(() => inspect(socket).info!.probes === 1)
    gone.restore()
    await until(() => inspect(socket).pending === undefined)
    await delay(DETECTION)
    expect(errors).toEqual([])
    expect(inspect(socket)).toMatchObject({ verdict: 'alive', inForce: wanted })
  })

  it.runIf(hasNetAdmin)('ends a connection whose peer is gone after count probes', async () => {
    const { socket, peer } = await connectPair()
    await delay(7_000)
    blackHole(peer)
    const start = performance.now()
    tune(socket, wanted)
    const [error] = await once(socket, 'error')
    expect(error).toMatchObject({ code: 'ETIMEDOUT' })
    // Probes leave at 0, 1 and 2 s, and the connection ends at 3 s. The timers are at most an eighth late; 100 ms are for this process.
    const after = performance.now() - start
    expect(after).toBeGreaterThan(3_000 - TICK)
    expect(after).toBeLessThan(latest(3_000))
  })

  it.runIf(hasNetAdmin).for<[string, Profile, Profile, number]>([
    ['count is already reached', { initialDelay: 1_000, interval: 1_000, count: 20 }, { count: 2 }, 4],
    [
      'userTimeout has already passed',
      { initialDelay: 1_000, interval: 1_000, count: 20 },
      { userTimeout: 2_000 },
      4,
    ],
    [
      'initialDelay and userTimeout replace a longer userTimeout',
      { initialDelay: 1_000, interval: 1_000, count: 3, userTimeout: 30_000 },
      { initialDelay: 2_000, userTimeout: 3_000 },
      4,
    ],
  ])('keeps a connection open that the kernel is probing: %s', async ([, before, then, probes]) => {
    const { socket, peer } = await connectPair()
    const errors: Error[] = []
    socket.on('error', (error) => errors.push(error))
    tune(socket, before)
    const gone = blackHole(peer)
    await until(() => inspect(socket).info!.probes === probes)
    tune(socket, then)
    expect(inspect(socket).pending).toMatchObject(
      then.count ? { count: 2 } : { userTimeout: then.userTimeout },
    )
    // The timer fires at least once more under the new settings.
    await until(() => inspect(socket).info!.probes > probes)
    gone.restore()
    await until(() => inspect(socket).pending === undefined)
    expect(errors).toEqual([])
    expect(inspect(socket)).toMatchObject({ verdict: 'alive', inForce: { ...before, ...then } })
  })

  it.runIf(hasNetAdmin)(
    'defers a userTimeout while a retransmission has lasted longer than that',
    async () => {
      const { socket, peer } = await connectPair()
      const errors: Error[] = []
      socket.on('error', (error) => errors.push(error))
      peer.resume()
      const gone = blackHole(peer)
      socket.write('x')
      await delay(3_000)
      tune(socket, { userTimeout: 1_000 })
      expect(inspect(socket).pending).toEqual({ userTimeout: 1_000 })
      await delay(500)
      gone.restore()
      await until(() => inspect(socket).pending === undefined)
      expect(errors).toEqual([])
      expect(inspect(socket)).toMatchObject({ verdict: 'alive', inForce: { userTimeout: 1_000 } })
    },
  )

  it('defers a userTimeout while the window has been closed for longer than that', async () => {
    const { socket, peer } = await connectPair()
    const errors: Error[] = []
    socket.on('error', (error) => errors.push(error))
    while (socket.writableLength < 2 ** 24) socket.write(Buffer.alloc(2 ** 20))
    await delay(4_000)
    tune(socket, { userTimeout: 2_000 })
    expect(inspect(socket).pending).toEqual({ userTimeout: 2_000 })
    await delay(1_000)
    peer.resume()
    await until(() => inspect(socket).pending === undefined)
    expect(errors).toEqual([])
    expect(inspect(socket)).toMatchObject({ verdict: 'alive', inForce: { userTimeout: 2_000 } })
  })

  it('drops a pending value when the program sets another', async () => {
    const { socket } = await connectPair()
    await delay(3_000)
    tune(socket, { ...wanted, initialDelay: 1_000, userTimeout: 2_500 })
    expect(inspect(socket).pending).toEqual({ userTimeout: 2_500 })
    tune(socket, { userTimeout: 9_000 })
    await until(() => inspect(socket).pending === undefined)
    expect(inspect(socket).inForce.userTimeout).toBe(9_000)
  })

  it.runIf(hasNetAdmin)(
    'does not extend the life of a dead connection that is tuned again and again',
    async () => {
      const { socket, peer } = await connectPair()
      peer.write('.')
      await once(socket, 'data')
      const start = performance.now()
      const died = once(socket, 'error')
      tune(socket, 'lan')
      blackHole(peer)
      const again = setInterval(() => tune(socket, 'lan'), 500)
      const [error] = await died
      clearInterval(again)
      expect(error).toMatchObject({ code: 'ETIMEDOUT' })
      expect(performance.now() - start).toBeLessThan(latest(6_000))
    },
  )

  it.runIf(hasNetAdmin)(
    'does not extend the life of a dead connection that is tuned to two profiles in turn',
    async () => {
      const { socket, peer } = await connectPair()
      await delay(4_000)
      blackHole(peer)
      const died = once(socket, 'error')
      let turn = 0
      const start = performance.now()
      const again = setInterval(() => tune(socket, turn++ % 2 ? 'lan' : { ...wanted, count: 2 }), 500)
      await died
      clearInterval(again)
      // Only the probes of the first tune are sent, 1 s apart or less.
      expect(performance.now() - start).toBeLessThan(8_000)
    },
  )

  it.runIf(hasNetAdmin)(
    'defers a userTimeout while data is retransmitted for longer than that, although the peer sends',
    async () => {
      const { socket, peer } = await connectPair()
      const errors: Error[] = []
      socket.on('error', (error) => errors.push(error)).resume()
      peer.resume()
      const gone = blackHole(peer)
      socket.write('x')
      const talking = setInterval(() => peer.write('.'), 900)
      await until(() => inspect(socket).info!.retransmits >= 5)
      tune(socket, { userTimeout: 3_000 })
      expect(inspect(socket).pending).toEqual({ userTimeout: 3_000 })
      gone.restore()
      await until(() => inspect(socket).pending === undefined)
      clearInterval(talking)
      expect(errors).toEqual([])
      expect(inspect(socket)).toMatchObject({ inForce: { userTimeout: 3_000 } })
    },
  )

  it.runIf(hasNetAdmin)(
    'keeps the previous userTimeout in force while a retransmission defers a shorter one',
    async () => {
      const { socket, peer } = await connectPair()
      peer.resume()
      tune(socket, { userTimeout: 6_000 })
      blackHole(peer)
      const start = performance.now()
      socket.write('x')
      await delay(4_000)
      tune(socket, { userTimeout: 2_000 })
      expect(inspect(socket)).toMatchObject({
        profile: { userTimeout: 2_000 },
        inForce: { userTimeout: 6_000 },
        pending: { userTimeout: 2_000 },
      })
      const [error] = await once(socket, 'error')
      expect(error).toMatchObject({ code: 'ETIMEDOUT' })
      const after = performance.now() - start
      expect(after).toBeGreaterThan(6_400 - TICK)
      expect(after).toBeLessThan(latest(6_400))
    },
  )

  it.runIf(hasNetAdmin)(
    'defers a userTimeout while a connection attempt has lasted longer than that',
    async () => {
      const server = net.createServer()
      const port = await listen(server)
      const deaf = blackHole(handleOf(server)!.fd!)
      const socket = net.connect(port, '127.0.0.1')
      const ended = Promise.race([once(socket, 'connect'), once(socket, 'error')])
      await delay(2_500)
      tune(socket, { userTimeout: 2_000 })
      deaf.restore()
      expect(await ended).toEqual([])
      expect(socket.connecting).toBe(false)
      await until(() => inspect(socket).inForce.userTimeout === 2_000)
      socket.destroy()
      server.close()
    },
  )
})
