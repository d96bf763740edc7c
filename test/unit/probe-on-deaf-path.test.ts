import { describe, expect, it } from 'vitest'
import type { NativeCore } from '../../src/kernel/binding.js'
import type { Keepalive } from '../../src/kernel/liveness.js'
import type { ProbeResult } from '../../src/probe/result.js'
import { startProbes } from '../../src/probe/sessions.js'
import { ModelConnection, modelCore } from '../support/keepalive-model.js'
import { onVirtualTime, VirtualTime } from '../support/virtual-time.js'

const off: Keepalive = { enable: false, initialDelay: 7_200_000, interval: 75_000, count: 9, userTimeout: 0 }
const HOUR = 3_600_000
let lastFd = 2_000

/** Probes a connection to a live peer that never acknowledges a probe, again and again. Its addresses cannot be read, so nothing is known of the path. */
async function probeForever(options: Keepalive, times: number, more: object = {}) {
  const fd = ++lastFd
  const connection = new ModelConnection(options, [[0, Number.POSITIVE_INFINITY]])
  const time = new VirtualTime()
  // The rate limit of probes is remembered from one test to the next.
  const start = 1e9 * fd
  time.now = start
  const catchUp = () => {
    while (connection.next <= time.now - start) connection.happen()
    return time.now - start
  }
  const core: NativeCore = {
    ...modelCore(new Map([[fd, connection]]), { enter: catchUp }),
    readAddresses: () => ({ errno: -9 }),
  }
  const results: ProbeResult[] = []
  await onVirtualTime(time, async () => {
    for (let i = 0; i < times; i++) {
      time.at(start + 2_000 + i * 5_000, () => {
        const [answer] = startProbes(core, [fd], { attempts: 3, timeout: 300, ...more })
        void answer!.then((result) => results.push(result))
      })
    }
    await time.runUntil(start + HOUR)
    catchUp()
  })
  return { connection, results }
}

describe('a connection on a path that passes no probes', () => {
  it('is not ended by probes, however often it is probed', async () => {
    const { connection, results } = await probeForever(off, 60)
    expect(connection.isOpen).toBe(true)
    expect(connection.options).toEqual(off)
    expect(connection.asked.length).toBeGreaterThan(90)
    expect(connection.asked.length).toBeLessThanOrEqual(100)
    expect(results).toHaveLength(60)
    for (const result of results)
      expect(result).toMatchObject({ alive: undefined, evidence: 'unproven-path' })
  })

  it('ends by its own keepalive no sooner than without probes', async () => {
    const own = { ...off, enable: true, initialDelay: 60_000, interval: 30_000, count: 5 }
    const { connection } = await probeForever(own, 60)
    expect(connection.diedAt).toBeGreaterThanOrEqual(60_000 + 5 * 30_000)
  })

  it('resolves with alive: false only with unproven: dead', async () => {
    const { results } = await probeForever(off, 1, { trustsSilence: true })
    expect(results).toMatchObject([{ alive: false, evidence: 'silence' }])
  })
})
