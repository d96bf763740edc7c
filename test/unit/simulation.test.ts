import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type Fleet, quantile, simulate } from '../../src/cli/commands/simulate/simulation.js'
import { slotOf } from '../../src/watch/heartbeat-state.js'

const off = { enable: false, initialDelay: 0, interval: 0, count: 0, userTimeout: 0 }
const HOUR = 3_600_000
const YEAR = 8_766 * HOUR

/** So long that we send the probes, not the kernel. */
const EVERY = 17_000

const fleet: Fleet = {
  connections: 1_000,
  busy: 0,
  heartbeat: { every: EVERY, timeout: 300, attempts: 3 },
  own: off,
  loss: 0,
  rtt: 20,
  duration: HOUR,
  deaths: 0,
  seed: 1,
}

/** A beat that is answered at once: 0.9 to 1 of `every`, half of the time in which beats are seen to together, the round trip. */
const beat = (every: number, rtt: number) => {
  return 0.95 * every + slotOf({ every, timeout: 300, attempts: 3 }) / 2 + rtt
}

describe('simulate', () => {
  it('is the same for the same seed', () => {
    const chancy = { ...fleet, loss: 0.3, deaths: 10 }
    expect(simulate(chancy)).toEqual(simulate(chancy))
    expect(simulate({ ...chancy, seed: 2 })).not.toEqual(simulate(chancy))
  })

  it.each([0, 0.1, 0.2])(
    'counts the same by single heartbeats as by the law of large numbers, with loss %d',
    (loss) => {
      const perHour = (duration: number, connections: number) => {
        const { probes, falseDeaths } = simulate({ ...fleet, loss, duration, connections })
        return {
          probes: (probes * HOUR) / duration / connections,
          falseDeaths: (falseDeaths * HOUR) / duration / connections,
        }
      }
      // 150 beats each are followed; 15,000 are not.
      const followed = perHour(150 * EVERY, 20_000)
      const drawn = perHour(15_000 * EVERY, 200)
      // The second beat of each is early, by half: one in 150, and after each false death.
      expect(Math.abs(followed.probes / drawn.probes - 1)).toBeLessThan(0.01)
      if (loss > 0) expect(Math.abs(followed.falseDeaths / drawn.falseDeaths - 1)).toBeLessThan(0.05)
      else expect([followed.falseDeaths, drawn.falseDeaths]).toEqual([0, 0])
    },
  )

  it('simulates ten years of a million connections in a second or two', () => {
    const { probes, falseDeaths } = simulate({ ...fleet, connections: 1e6, loss: 0.001, duration: 10 * YEAR })
    const beats = (1e6 * 10 * YEAR) / (beat(EVERY, 20) + 0.001 * 510)
    expect(probes / (beats * 1.001)).toBeCloseTo(1, 4)
    // Three lost in a row: once in a thousand million beats. Poisson, five standard deviations.
    const mean = beats * 1e-9
    expect(Math.abs(falseDeaths - mean)).toBeLessThan(5 * Math.sqrt(mean))
  })

  it('probes no connection with recent traffic', () => {
    const { probes, looks } = simulate({ ...fleet, busy: 1 })
    expect(probes).toBe(0)
    expect(looks / ((1_000 * HOUR) / beat(EVERY, 0))).toBeCloseTo(1, 6)
    expect(simulate({ ...fleet, busy: 0.5 }).probes / simulate(fleet).probes).toBeCloseTo(0.5, 2)
  })

  it('finds a death after the rest of the cycle and three attempts', () => {
    const { detection } = simulate({ ...fleet, deaths: 100_000 })
    const verdict = 2 * 510 + 300
    expect(detection[0]).toBeGreaterThanOrEqual(verdict)
    expect(detection.at(-1)).toBeLessThanOrEqual(verdict + EVERY + slotOf(fleet.heartbeat) + 20)
    expect(quantile(detection, 0.5) / (verdict + beat(EVERY, 20) / 2)).toBeCloseTo(1, 2)
    // A path that is slower than the timeout has its own.
    const far = simulate({ ...fleet, rtt: 400, deaths: 1_000 })
    expect(far.detection[0]).toBeGreaterThanOrEqual(2 * 510 + 600)
    const busy = simulate({ ...fleet, busy: 1, deaths: 1_000 })
    expect(busy.detection[0]).toBeGreaterThanOrEqual(0.9 * EVERY + verdict)
  })

  describe('with probes that the kernel sends', () => {
    const lent = { ...fleet, heartbeat: { every: 5_000, timeout: 300, attempts: 3 } }
    // 1,250 ticks, in heaps of 64.
    const period = 20 * 64 * 4

    it('counts one kernel probe and one sample for each heartbeat', () => {
      const hours = 100
      const { probes, questions, looks, kernelProbes } = simulate({ ...lent, duration: hours * HOUR })
      expect(probes / ((1_000 * hours * HOUR) / period)).toBeCloseTo(1, 3)
      expect(looks / probes).toBeCloseTo(1, 3)
      // What is left of a beat at the end is a matter of chance.
      expect(questions / probes).toBeLessThan(0.001)
      expect(kernelProbes).toBe(0)
    })

    it.each([0, 0.1])(
      'counts the same by single heartbeats as by the law of large numbers, with loss %d',
      (loss) => {
        const perHour = (duration: number, connections: number) => {
          const forecast = simulate({ ...lent, loss, duration, connections })
          const { probes, questions, looks, falseDeaths } = forecast
          return [probes, looks, questions, falseDeaths].map((n) => (n * HOUR) / duration / connections)
        }
        const [followed, drawn] = [perHour(190 * 5_000, 6_000), perHour(15_000 * 5_000, 300)]
        // The first two beats of each are questions, and one comes early.
        for (const i of [0, 1]) expect(Math.abs(followed[i]! / drawn[i]! - 1)).toBeLessThan(0.02)
        if (loss > 0) {
          expect(Math.abs(followed[3]! / drawn[3]! - 1)).toBeLessThan(0.06)
          // Of ten beats one is not answered at once: that takes a question, and so does the next.
          expect(drawn[2]! / drawn[0]!).toBeGreaterThan(0.15)
          expect(drawn[2]! / drawn[0]!).toBeLessThan(0.25)
        }
      },
    )

    it("finds a death after the rest of the cycle and three attempts, the first of them the kernel's", () => {
      const { detection } = simulate({ ...lent, deaths: 100_000 })
      const verdict = 2 * 510 + 300
      expect(quantile(detection, 0.5) / (verdict + period / 2)).toBeCloseTo(1, 2)
      expect(detection.at(-1)).toBeLessThanOrEqual(verdict + period)
      const once = { ...lent.heartbeat, attempts: 1 }
      // That there was no answer is seen a slot later.
      const [first] = [simulate({ ...lent, heartbeat: once, deaths: 100_000 }).detection]
      expect(quantile(first, 0.5) / (350 + period / 2)).toBeCloseTo(1, 2)
    })

    it('lets the kernel probe at most 6,000 connections, and no connection that a userTimeout could end too early', () => {
      const many = simulate({ ...lent, connections: 12_000, duration: 10 * HOUR })
      const asked = (6_000 * 10 * HOUR) / beat(5_000, 20)
      expect(many.questions / asked).toBeCloseTo(1, 2)
      const own = { enable: true, initialDelay: 60_000, interval: 1_000, count: 3, userTimeout: 0 }
      expect(simulate({ ...lent, own }).questions).toBeLessThan(simulate(lent).probes / 100)
      const { probes, questions } = simulate({ ...lent, own: { ...off, userTimeout: 60_000 } })
      expect(questions).toBe(probes)
    })
  })

  it("follows the kernel's cycle if the kernel probes sooner", () => {
    const own = { enable: true, initialDelay: 3_000, interval: 1_000, count: 3, userTimeout: 6_000 }
    const { probes, kernelProbes, detection } = simulate({ ...fleet, own, deaths: 1_000 })
    expect(probes).toBe(0)
    expect(kernelProbes / ((1_000 * HOUR) / 3_020)).toBeCloseTo(1, 2)
    // Three probes at 3, 4 and 5 s, and the last has its timeout; the kernel would take 6 s.
    expect(detection.at(-1)).toBeLessThanOrEqual(3_020 + 2_000 + 300)
    const patient = simulate({ ...fleet, own, deaths: 1_000, heartbeat: { ...fleet.heartbeat, attempts: 9 } })
    expect(patient.detection.at(-1)).toBeLessThanOrEqual(6_020)
    expect(patient.detection.at(-1)).toBeGreaterThan(5_500)
    // Too late to matter.
    const late = simulate({ ...fleet, own: { ...own, initialDelay: 60_000, userTimeout: 0 } })
    expect(late).toEqual(simulate(fleet))
  })
})

describe('deadpeer simulate', () => {
  const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
  const run = (...args: string[]) => {
    const costs = [
      ...(args.includes('--probe-cost') ? [] : ['--probe-cost', '20us']),
      ...['--look-cost', '2us'],
    ]
    return spawnSync(process.execPath, [program, 'simulate', ...costs, ...args], { encoding: 'utf8' })
  }

  it('prints with --json the documented fields', () => {
    const { stdout, stderr, status } = run(
      '--json',
      '--connections',
      '9000',
      '--hours',
      '2',
      '--loss',
      '0.01',
    )
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
    const result = JSON.parse(stdout)
    const { probesPerSecond, looksPerSecond, cpu, detection } = result
    expect(Object.keys(result)).toEqual([
      'probesPerSecond',
      'kernelProbesPerSecond',
      'looksPerSecond',
      'cpu',
      'costs',
      'deaths',
      'detection',
      'falseDeaths',
    ])
    // Half of them are busy, and the kernel asks the others: all are looked at. 200 deaths of two hours take three probes each.
    expect(looksPerSecond).toBeGreaterThan(probesPerSecond)
    expect((cpu * 1e6 - looksPerSecond * 2) / 20 / probesPerSecond).toBeLessThan(0.02)
    expect((cpu * 1e6 - looksPerSecond * 2) / 20 / probesPerSecond).toBeGreaterThan(0.009)
    expect(result).toMatchObject({ costs: { probe: 20, look: 2 }, deaths: 200, kernelProbesPerSecond: 0 })
    expect(detection.p50).toBeLessThan(detection.p90)
    expect(detection.p99).toBeLessThanOrEqual(detection.max)
  })

  it('prints the same in words', () => {
    const { stdout, status } = run('--profile', 'lan', '--deaths', '0')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^10,000 connections for 24 h, 50 % of them busy; keepalive: 3s\/1s\/3\n/)
    expect(stdout).toMatch(/^CPU .* at 20\.0 µs a probe and 2\.0 µs a sample$/m)
    expect(stdout).toMatch(/^deaths +none$/m)
  })

  it.each([
    { what: 'a preset', profile: 'datacenter' },
    { what: 'times with units', profile: '15s/5s/3' },
    { what: 'seconds', profile: '15/5/3' },
    { what: 'units that differ', profile: '15000ms/5/3' },
  ])('accepts as a profile $what: $profile', ({ profile }) => {
    const { stdout, status } = run('--profile', profile, '--deaths', '0', '--every', '5s', '--rtt', '20ms')
    expect(status).toBe(0)
    expect(stdout).toMatch(/; keepalive: 15s\/5s\/3\nheartbeat every 5s, 3 × 300ms; .* round trip 20ms\n/)
  })

  it.each([
    { args: ['--every', '5000'], message: /--every must be .*; got '5000'\. Did you mean 5000ms or 5000s\?/ },
    { args: ['--every', '10ms'], message: /--every must be whole \w+ from 1s to .*; got '10ms'/ },
    {
      args: ['--every', '1s', '--timeout', '2s'],
      message: /timeout must be at most `every` \(1000 ms\).*; got 2000 ms\./,
    },
    { args: ['--attempts', 'x'], message: /--attempts must be a whole number from 1 to 100; got 'x'/ },
    { args: ['--loss', '2'], message: /--loss must be a number from 0 to 1; got '2'/ },
    { args: ['--profile', 'lann'], message: /--profile must be .*; got 'lann'\. Did you mean lan\?/ },
    { args: ['--profile', '30/10'], message: /--profile must be .*60s\/5s\/3; got '30\/10'/ },
    { args: ['--profile', '0/10/3'], message: /initialDelay/ },
    { args: ['--probe-cost', 'much'], message: /--probe-cost must be .*; got 'much'/ },
    { args: ['--bogus'], message: /unknown option/ },
  ])('refuses $args in one line', ({ args, message }) => {
    const { stdout, stderr, status } = run(...args)
    expect({ stdout, status }).toEqual({ stdout: '', status: 2 })
    expect(stderr).toMatch(/^deadpeer: .*\n$/)
    expect(stderr).toMatch(message)
  })
})
