import type net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { descriptorOf } from '../../src/connection/target.js'
import {
  type Death,
  inspect,
  type ProbeResult,
  probe,
  tune,
  type WatchOptions,
  watch,
} from '../../src/index.js'
import { nativeCore } from '../../src/kernel/binding.js'
import { readOptions } from '../../src/kernel/socket-options.js'
import { overlayFor, overlayOf, releaseOverlay } from '../../src/overlay/overlay.js'
import { blackHole } from '../../src/testing/index.js'
import { MOST_BEATING } from '../../src/watch/heartbeat-state.js'
import { connect, type Pair } from '../support/connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { latest, timed } from '../support/tolerance.js'
import { until } from '../support/until.js'

// A connection without keepalive of its own is lent a clock once it has been asked twice: from then on the kernel asks by itself.

const every = 2_000
const clock = { enable: true, initialDelay: every, interval: every, count: 127, userTimeout: 0 }

const closing: (() => void)[] = []
afterAll(() => {
  for (const close of closing) close()
})

/** What the socket has, whosever it is. */
function found({ socket }: Pair) {
  const { enable, initialDelay, interval, count, userTimeout } = readOptions(
    nativeCore()!,
    descriptorOf(socket),
  )
  return { enable, initialDelay, interval, count, userTimeout }
}

function watching(options: WatchOptions = {}) {
  const watcher = watch({ heartbeat: { every }, ...options })
  closing.push(() => watcher.close())
  const deaths: Death[] = []
  watcher.on('dead', (death) => deaths.push(death))
  return { watcher, deaths }
}

/** Watched until the kernel asks them all by itself, and what they had before. */
async function lent(count: number, options: WatchOptions = {}, own: Parameters<typeof tune>[1] = {}) {
  const pairs = await connect(count)
  for (const { socket } of pairs) tune(socket, own)
  const before = found(pairs[0]!)
  const { watcher, deaths } = watching(options)
  watcher.add(pairs.map(({ socket }) => socket))
  await until(() => pairs.every((pair) => found(pair).interval === every), 4 * every)
  for (const pair of pairs) {
    expect(found(pair)).toMatchObject({ enable: true, initialDelay: every, interval: every })
  }
  return { pairs, pair: pairs[0]!, before, watcher, deaths }
}

const segmentsIn = ({ peer }: Pair) => inspect(peer).info!.segsIn!

describe.concurrent('a connection whose heartbeat the kernel sends', () => {
  it('is probed by the kernel alone, and inspect reports its own options as profile', async () => {
    const { pairs, before, watcher } = await lent(20)
    const asked = pairs.map(segmentsIn)
    await delay(3 * every)
    for (const [i, pair] of pairs.entries()) {
      // The kernel's timers are at most an eighth late.
      const probes = segmentsIn(pair) - asked[i]!
      expect(probes).toBeGreaterThanOrEqual(2)
      expect(probes).toBeLessThanOrEqual(3)
      expect(found(pair)).toEqual(clock)
      const { enable, initialDelay, interval, count } = before
      expect(inspect(pair.socket)).toMatchObject({
        profile: before,
        inForce: clock,
        pending: { enable, initialDelay, interval, count },
        verdict: 'alive',
      })
    }
    watcher.close()
    for (const pair of pairs) expect(found(pair)).toEqual(before)
  })

  it('gets its own options back when it is deleted or its heartbeat is switched off', async () => {
    const { pairs, before, watcher } = await lent(3)
    const [deleted, silenced, closed] = pairs as [Pair, Pair, Pair]
    watcher.delete(deleted.socket)
    watcher.add(silenced.socket, { heartbeat: false })
    expect([found(deleted), found(silenced), found(closed)]).toEqual([before, before, clock])
    watcher.close()
    expect(found(closed)).toEqual(before)
  })

  it('keeps its detection time by another count, and gets its own options back when the watcher closes', async () => {
    const pairs = (await connect(3)) as [Pair, Pair, Pair]
    const [cloud, patient, slow] = pairs
    tune(cloud.socket, 'cloud')
    tune(patient.socket, 'patient')
    tune(slow.socket, { enable: true, initialDelay: 20_000, interval: 5_000, count: 4 })
    const before = pairs.map(found)
    const { watcher } = watching()
    watcher.add(pairs.map(({ socket }) => socket))
    await until(() => pairs.every((pair) => found(pair).initialDelay === every), 6 * every)
    expect(pairs.map(found)).toEqual([
      { ...clock, count: 3, userTimeout: 60_000 },
      { ...clock, count: 89 },
      { ...clock, count: 19 },
    ])
    expect(pairs.map(({ socket }) => inspect(socket).profile)).toMatchObject(before)
    watcher.close()
    expect(pairs.map(found)).toEqual(before)
  })

  it('is probed directly if it has a user timeout and no keepalive', async () => {
    const [pair] = (await connect(1)) as [Pair]
    tune(pair.socket, { userTimeout: 30_000 })
    const before = found(pair)
    const { watcher } = watching()
    const asked = segmentsIn(pair)
    watcher.add(pair.socket)
    await until(() => segmentsIn(pair) >= asked + 3, 8 * every)
    await until(() => inspect(pair.socket).pending === undefined)
    expect(found(pair)).toEqual(before)
  })

  it('has the options of a later tune at once, and those of setKeepAlive when the watcher closes', async () => {
    const { pairs, watcher } = await lent(4)
    const [tuned, byNode, off, same] = pairs as [Pair, Pair, Pair, Pair]
    tune(tuned.socket, { initialDelay: 20_000, interval: 5_000, count: 4 })
    byNode.socket.setKeepAlive(true, 30_000)
    off.socket.setKeepAlive(true, 30_000).setKeepAlive(false)
    same.socket.setKeepAlive(true, every)
    expect(found(tuned)).toMatchObject({ enable: true, initialDelay: 20_000, interval: 5_000, count: 4 })
    expect(inspect(byNode.socket).profile).toMatchObject({ enable: true, initialDelay: 30_000 })
    expect(inspect(off.socket).profile).toMatchObject({ enable: false, initialDelay: 30_000 })
    await delay(3 * every)
    expect(watcher.size).toBe(4)
    expect(inspect(tuned.socket).profile).toMatchObject({ initialDelay: 20_000, interval: 5_000, count: 4 })
    expect(inspect(byNode.socket).profile).toMatchObject({ enable: true, initialDelay: 30_000 })
    watcher.close()
    expect(found(tuned)).toMatchObject({ enable: true, initialDelay: 20_000, interval: 5_000, count: 4 })
    expect(found(byNode)).toMatchObject({ enable: true, initialDelay: 30_000 })
    expect(found(off)).toMatchObject({ enable: false, initialDelay: 30_000 })
    expect(found(same)).toMatchObject({ enable: true, initialDelay: every })
  })

  it('is probed directly while a suspect listener exists', async () => {
    const { pair, before, watcher } = await lent(1)
    watcher.on('suspect', () => {})
    await until(() => found(pair).interval === before.interval)
    await delay(4 * every)
    expect(found(pair)).toEqual(before)
  })

  it("has its own options while it carries data, and the heartbeat's again when it is idle", async () => {
    const { pair, before, deaths } = await lent(1)
    pair.socket.resume()
    const talk = setInterval(() => pair.peer.write('.'), 300)
    await until(() => found(pair).interval === before.interval)
    const { segsIn, dataSegsOut } = inspect(pair.peer).info!
    await delay(2 * every)
    // The peer receives acknowledgements of its data and no probes.
    const { segsIn: later, dataSegsOut: sent } = inspect(pair.peer).info!
    clearInterval(talk)
    expect(later! - segsIn!).toBeLessThanOrEqual(sent! - dataSegsOut! + 1)
    await until(() => found(pair).interval === every, 4 * every)
    expect(deaths).toEqual([])
  })

  it('is not probed after the peer has closed its side', async () => {
    const pairs = await connect(1, { allowHalfOpen: true })
    const [pair] = pairs as [Pair]
    const { watcher } = watching()
    const before = found(pair)
    watcher.add(pair.socket)
    await until(() => found(pair).interval === every, 4 * every)
    pair.socket.resume()
    pair.peer.end()
    await until(() => found(pair).interval === before.interval)
    await delay(every)
    const asked = segmentsIn(pair)
    await delay(2 * every)
    expect(segmentsIn(pair)).toBe(asked)
  })

  it('leaves no overlay behind when it is closed or reset', async () => {
    const { pairs, watcher, deaths } = await lent(10)
    const cookies = pairs.map(({ socket }) => nativeCore()!.readCookie(descriptorOf(socket)) as bigint)
    expect(cookies.map((cookie) => overlayOf(cookie)?.beating)).toEqual(Array(10).fill(every))
    for (const { socket } of pairs.slice(0, 5)) socket.destroy()
    await until(() => watcher.size === 5)
    for (const { peer } of pairs.slice(5)) peer.resetAndDestroy()
    await until(() => watcher.size === 0)
    expect(deaths.map(({ reason }) => reason)).toEqual(Array(5).fill('reset'))
    expect(watcher.stats()).toMatchObject({ closed: 5, dead: 5 })
    expect(cookies.map(overlayOf)).toEqual(Array(10).fill(undefined))
  })

  describe.runIf(hasNetAdmin)('whose peer vanishes', () => {
    it.for([
      [1, 300],
      [1, 1_000],
      [3, 300],
      [2, 1_000],
    ] as const)(
      "is declared dead after all attempts, the first of them the kernel's: attempts %d, timeout %d",
      async ([attempts, timeout]) => {
        const heartbeat = { every, attempts, timeout }
        const { pairs, deaths, before } = await lent(50, { heartbeat, onDead: 'report' })
        const took: number[] = []
        const sent = new Map<net.Socket, number>()
        for (const { socket, peer } of pairs) {
          blackHole(peer)
          sent.set(socket, inspect(socket).info!.segsOut!)
        }
        await until(() => deaths.length === pairs.length)
        for (const { socket, reason, evidence, silentFor } of deaths) {
          expect([reason, evidence]).toEqual([
            'heartbeat',
            expect.stringMatching(new RegExp(`^${attempts} probes? `)),
          ])
          took.push(silentFor!)
          const gap = Math.max(510, timeout)
          expect(silentFor).toBeGreaterThanOrEqual(every + timeout + (attempts - 1) * gap - 20)
          // One of them is the kernel's.
          expect(inspect(socket).info!.segsOut! - sent.get(socket)!).toBe(attempts)
          const pair = pairs.find((each) => each.socket === socket)!
          expect(found(pair)).toEqual(before)
        }
        // The kernel's timer is at most an eighth late. Connections that are due within 100 ms are sampled together.
        const most = every * 1.125 + timeout + 100 + (attempts - 1) * Math.max(510, timeout)
        if (timed) expect(Math.max(...took)).toBeLessThan(latest(most))
      },
    )

    it('is probed with all attempts again if a listener for dead calls probe', async () => {
      const { pair, watcher } = await lent(1, { onDead: 'report' })
      const asked = new Promise<{ result: ProbeResult; took: number }>((resolve) => {
        watcher.on('dead', async ({ socket }) => {
          const start = performance.now()
          const result = await probe(socket, { attempts: 3 })
          resolve({ result, took: performance.now() - start })
        })
      })
      blackHole(pair.peer)
      const { result, took } = await asked
      expect(result).toMatchObject({ alive: false, evidence: 'silence', attempts: 3 })
      expect(took).toBeGreaterThanOrEqual(2 * 510 + 300)
    })

    it('and acknowledges the last attempt stays open, and the kernel sends its heartbeat again', async () => {
      const { pairs, deaths, watcher } = await lent(10)
      const holes = pairs.map(({ peer }) => blackHole(peer, { segments: 2 }))
      await Promise.all(holes.map(({ done }) => done))
      await until(() => pairs.every((pair) => found(pair).interval === every), 6 * every)
      expect(deaths).toEqual([])
      expect(watcher.size).toBe(10)
    })
  })
})

it('lets the kernel send a heartbeat once fewer than 6,000 others are sent by the kernel', async () => {
  const before = { enable: false, initialDelay: 1_000, interval: 1_000, count: 1, userTimeout: 0 }
  const others = Array.from({ length: MOST_BEATING }, (_, i) => overlayFor(BigInt(i - MOST_BEATING), before))
  const [pair] = (await connect(1)) as [Pair]
  const { watcher } = watching()
  const asked = segmentsIn(pair)
  watcher.add(pair.socket)
  await until(() => segmentsIn(pair) >= asked + 3)
  expect(found(pair).interval).not.toBe(every)
  // Connections of earlier tests count as well.
  for (const other of others) releaseOverlay(other)
  await until(() => found(pair).interval === every)
})
