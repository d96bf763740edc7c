import { describe, expect, it } from 'vitest'
import { quantile, simulate } from '../../src/cli/commands/simulate/simulation.js'
import { hasNamespaces, runInside } from '../support/network-namespace.js'
import { timed } from '../support/tolerance.js'

// These tests take long, so they run at the same time, each in its own network namespace.

// biome-ignore lint/suspicious/noExplicitAny: JSON of a fixture
async function run(scene: string, ...args: (number | string)[]): Promise<any> {
  return JSON.parse(await runInside('beating.mjs', scene, ...args.map(String)))
}

const off = { enable: false, initialDelay: 0, interval: 0, count: 0, userTimeout: 0 }

/** What the simulation predicts for a heartbeat on idle connections on loopback. */
function predicted(
  connections: number,
  every: number,
  attempts: number,
  seconds: number,
  loss = 0,
  deaths = 0,
) {
  const heartbeat = { every, timeout: 300, attempts }
  const duration = seconds * 1_000
  return simulate({ connections, busy: 0, heartbeat, own: off, loss, rtt: 4, duration, deaths, seed: 1 })
}

describe.concurrent('a heartbeat', { timeout: 150_000 }, () => {
  describe.runIf(hasNamespaces)('in a namespace of its own', () => {
    it('of 2,000 connections sends as many probes and finds deaths as soon as the simulation predicts', async () => {
      const [connections, every, seconds, deaths] = [2_000, 2_000, 20, 500]
      const { probes, observed, detection, watching } = await run(
        'fleet',
        connections,
        every,
        seconds,
        deaths,
      )
      const forecast = predicted(connections, every, 3, seconds, 0, 100_000)
      const alone = predicted(connections, every, 3, observed / 1_000)
      expect(watching).toBe(connections - deaths)
      expect(Math.abs(probes / alone.probes - 1)).toBeLessThan(0.05)
      const found = Float64Array.from(detection as number[]).sort()
      if (!timed) return
      for (const part of [0.5, 0.99]) {
        expect(
          Math.abs(quantile(found, part) / quantile(forecast.detection, part) - 1),
          `p${part * 100}`,
        ).toBeLessThan(0.1)
      }
    })

    it('declares as many live peers dead as probability predicts when a tenth of the segments is lost', async () => {
      const [connections, seconds] = [100, 60]
      const results = await run('loss', connections, seconds)
      for (const attempts of [2, 3]) {
        const { falseDeaths } = predicted(100 * connections, 1_000, attempts, seconds, 0.1)
        const mean = falseDeaths / 100
        const { dead, probes } = results[attempts]
        // Four standard deviations of a Poisson distribution, and two more deaths because the mean is small.
        expect(dead, `${attempts} attempts, ${mean} expected`).toBeLessThanOrEqual(
          mean + 4 * Math.sqrt(mean) + 2,
        )
        expect(dead).toBeGreaterThanOrEqual(mean - 4 * Math.sqrt(mean))
        const expected = predicted(connections, 1_000, attempts, seconds, 0.1).probes
        if (timed) expect(Math.abs(probes / expected - 1)).toBeLessThan(0.05)
      }
      expect(results[20].dead).toBe(0)
    })

    it('keeps peers that read nothing for a minute', async () => {
      const { watching, dead, told, longestSilence } = await run('unread', 60)
      expect({ watching, dead, told }).toEqual({ watching: 30, dead: 0, told: [] })
      // They were silent for longer than a heartbeat, because the kernel's window probes are far apart by then.
      expect(longestSilence).toBeGreaterThan(1_000)
    })

    it('keeps peers with a round trip of 400 ms, and finds those that vanish', async () => {
      const { alive, rtt, told } = await run('delayed', 20)
      expect(rtt).toBeGreaterThan(400_000)
      expect(alive).toMatchObject({ watching: 20, dead: 0, told: 0 })
      // Each was probed about every 1.5 s.
      expect(alive.probes).toBeGreaterThan(20 * 10)
      expect(told.filter((what: string) => what === 'dead')).toHaveLength(20)
      expect(told).not.toContain('recover')
    })

    it('declares no peer dead because the event loop was blocked for 5 s', async () => {
      expect(await run('blocked', 5_000, 4)).toMatchObject({ watching: 200, dead: 0, told: [] })
    })

    it('declares no live peer dead because the process was stopped for 10 s, and finds those that vanished', async () => {
      const { stopped, ...rest } = await run('stopped', 10_000)
      expect(stopped).toBeGreaterThanOrEqual(9_900)
      expect(rest).toMatchObject({ alive: true, watching: 50, dead: 50 })
    })
  })
})
