import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Keepalive, Sample } from '../../src/kernel/liveness.js'
import {
  afterAnswer,
  beginKernelBeats,
  calmUntil,
  firstState,
  type Heartbeat,
  kernelBeats,
  kernelPeriod,
  nextBeat,
  observe,
} from '../../src/watch/heartbeat-state.js'
import { KernelModel } from '../support/kernel-model.js'
import { seeded } from '../support/seeded-random.js'

/** A look may be so much later than it was to be: what is due together is seen to together. */
const SLOT = 50
/** What is unanswered for less may yet be answered. */
const GRACE = 250

const seconds = (max: number) => fc.integer({ min: 1, max }).map((s) => s * 1_000)

const profile = fc
  .record({
    initialDelay: seconds(300),
    interval: seconds(80),
    count: fc.integer({ min: 2, max: 9 }),
    userTimeout: fc.constantFrom(0, 0, 1),
  })
  .map(({ userTimeout, ...rest }): Keepalive => {
    const { initialDelay, interval, count } = rest
    return { enable: true, ...rest, userTimeout: userTimeout && initialDelay + interval * count }
  })

interface Told {
  readonly event: 'suspect' | 'recover'
  readonly at: number
  /** For how long something had been unanswered. */
  readonly unanswered: number
}

interface Run {
  readonly told: Told[]
  readonly looks: number
  readonly diedAt: number | undefined
}

/** Attends to a connection until it dies or the end comes. `ask` is told when it is to be asked. */
function run(
  kernel: KernelModel,
  end: number,
  random: () => number,
  writesAt = Number.POSITIVE_INFINITY,
): Run {
  const told: Told[] = []
  let looks = 0
  const state = firstState(kernel.look(), undefined, random())
  let now = 0
  let writeAt = writesAt
  while (now < end) {
    const event = observe(state, kernel.look(), kernel.own, undefined, random())
    const { sampleAt, isToBeProbed } = state
    looks++
    const unanswered = kernel.unansweredSince === undefined ? 0 : now - kernel.unansweredSince
    if (event) told.push({ event, at: now, unanswered })
    if (isToBeProbed || sampleAt <= now) throw new Error(`at ${now}: again at ${sampleAt}`)
    const next = sampleAt + SLOT * random()
    if (writeAt < next) {
      kernel.goOn(writeAt)
      kernel.write()
      writeAt = Number.POSITIVE_INFINITY
    }
    // Event by event, to know when it died.
    while (!kernel.isDead && kernel.nextAt <= next) {
      const at = kernel.nextAt
      kernel.goOn(at)
      if (kernel.isDead) return { told, looks, diedAt: at }
    }
    kernel.goOn(next)
    now = next
  }
  return { told, looks, diedAt: undefined }
}

describe('suspicion, tested on a model of the kernel', () => {
  it('precedes death by at least an interval, and follows the first unacknowledged probe by at least the grace time', () => {
    fc.assert(
      fc.property(profile, fc.integer(), fc.nat(100), (own, seed, rtt) => {
        const random = seeded(seed)
        const gone = 5 * own.initialDelay * random()
        const kernel = new KernelModel(own, rtt, (time) => time < gone, random)
        const { told, diedAt } = run(kernel, 1e8, random)
        // A userTimeout may leave time for only one probe if the kernel's first is late.
        fc.pre(kernel.probes >= 2)
        expect(told.map(({ event }) => event)).toEqual(['suspect'])
        expect(diedAt! - told[0]!.at).toBeGreaterThanOrEqual(own.interval)
        expect(told[0]!.unanswered).toBeGreaterThanOrEqual(GRACE)
      }),
      { numRuns: 1_000 },
    )
  })

  it('precedes death with data in flight by at least an interval too, although the kernel backs off', () => {
    // Only settings with time for an interval, a sample and the first retransmission.
    const withRoom = profile.filter(({ userTimeout = 0, interval }) => userTimeout >= 2 * interval + 2_000)
    fc.assert(
      fc.property(withRoom, fc.integer(), fc.nat(100), (own, seed, rtt) => {
        const random = seeded(seed)
        const gone = 3 * own.initialDelay * random()
        const kernel = new KernelModel(own, rtt, (time) => time < gone, random)
        const { told, diedAt } = run(kernel, 1e8, random, gone)
        // In the model, the acknowledgement of a probe also acknowledges data that is written meanwhile. Then nothing was in flight.
        fc.pre(kernel.retransmits > 0)
        expect(told.map(({ event }) => event)).toEqual(['suspect'])
        expect(diedAt! - told[0]!.at).toBeGreaterThanOrEqual(own.interval)
        expect(told[0]!.unanswered).toBeGreaterThanOrEqual(GRACE)
      }),
      { numRuns: 1_000 },
    )
  })

  it('is never reported for a peer that acknowledges, with a round trip of up to 900 ms', () => {
    fc.assert(
      fc.property(profile, fc.integer(), fc.nat(900), (own, seed, rtt) => {
        const random = seeded(seed)
        const kernel = new KernelModel(own, rtt, () => true, random)
        const { told, diedAt } = run(kernel, 40 * own.initialDelay, random, 10 * own.initialDelay)
        expect(told).toEqual([])
        expect(diedAt).toBeUndefined()
      }),
      { numRuns: 200 },
    )
  })

  it('ends with recovery, once for each outage', () => {
    fc.assert(
      fc.property(profile, fc.integer(), fc.array(fc.nat(100), { maxLength: 6 }), (own, seed, shares) => {
        const random = seeded(seed)
        // The connection survives these outages, which are an hour apart.
        const hour = 3_600_000
        const longest = own.interval * (own.count - 1)
        const outages = shares.map((share, i) => ({ from: (i + 1) * hour, for: (longest * share) / 100 }))
        const hears = (time: number) =>
          !outages.some(({ from, for: length }) => time >= from && time < from + length)
        const kernel = new KernelModel({ ...own, userTimeout: 0 }, 20, hears, random)
        const { told, diedAt } = run(kernel, (outages.length + 2) * hour, random)
        expect(diedAt).toBeUndefined()
        expect(told.length).toBeLessThanOrEqual(2 * outages.length)
        for (const [i, { event, unanswered }] of told.entries()) {
          expect(event).toBe(i % 2 === 0 ? 'suspect' : 'recover')
          if (event === 'suspect') expect(unanswered).toBeGreaterThanOrEqual(GRACE)
        }
        expect(told.length % 2).toBe(0)
      }),
      { numRuns: 200 },
    )
  })

  it('ends within one sample after the peer was heard', () => {
    const own: Keepalive = { enable: true, initialDelay: 10_000, interval: 5_000, count: 9, userTimeout: 0 }
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 11_000, max: 40_000 }), (seed, backAt) => {
        const random = seeded(seed)
        const kernel = new KernelModel(own, 20, (time) => time >= backAt, random)
        const { told } = run(kernel, 70_000, random)
        const recovery = told.find(({ event }) => event === 'recover')!
        if (!told.some(({ event }) => event === 'suspect')) return
        // The next probe is acknowledged. The sample follows within a sixteenth of the silence until then.
        const heardAfter = own.interval * 1.125 + 20
        expect(recovery.at - backAt).toBeLessThan(
          heardAfter + Math.max(GRACE, (backAt + heardAfter) / 16) + SLOT,
        )
      }),
    )
  })

  it('takes no sample of a connection whose next probe is not due', () => {
    const own: Keepalive = {
      enable: true,
      initialDelay: 30_000,
      interval: 10_000,
      count: 3,
      userTimeout: 60_000,
    }
    const random = seeded(1)
    const day = 24 * 3_600_000
    const { looks } = run(new KernelModel(own, 20, () => true, random), day, random)
    // Two samples in each idle period; four if the kernel's timer is late (0 to 12.5 %, so up to 3.75 s).
    expect(looks).toBeLessThan((4 * day) / own.initialDelay)
    // The system's defaults: 2 h and an interval of 75 s.
    const calm = { enable: true, initialDelay: 7_200_000, interval: 75_000, count: 9, userTimeout: 0 }
    const idle = run(new KernelModel(calm, 20, () => true, random), day, random)
    expect(idle.looks).toBeLessThan(2 * 24 * 60)
    // With an interval longer than initialDelay the timer is set to interval after each acknowledgement.
    const odd = { enable: true, initialDelay: 10_000, interval: 75_000, count: 9, userTimeout: 0 }
    const waiting = run(new KernelModel(odd, 20, () => true, random), day, random)
    expect(waiting.looks).toBeLessThan((16 * day) / odd.interval)
  })
})

describe('a closed window', () => {
  const own: Keepalive = { enable: false, initialDelay: 0, interval: 0, count: 0, userTimeout: 0 }
  const shut = (sampledAt: number, probes: number): Sample => ({
    ...quiet({ sampledAt, heardAt: 0 }),
    probes,
    notSent: 5_000,
  })

  it("is suspect once a window probe is unacknowledged for longer than the peer's rate limit explains", () => {
    // Window probes leave after 200 ms (acknowledged), 400 ms (not) and 800 ms (acknowledged).
    const state = heard(0, undefined, 0)
    observe(state, shut(410, 1), own, undefined, 0)
    const until = 400 + 800 * 1.125
    while (state.sampleAt < until) {
      expect(observe(state, shut(state.sampleAt, 1), own, undefined, 0)).toBeUndefined()
    }
    expect(state.sampleAt).toBeLessThan(410 + 1_300)
    expect(observe(state, shut(state.sampleAt, 2), own, undefined, 0)).toBe('suspect')
  })
})

describe('calmUntil', () => {
  const look = fc.record({ heardAt: fc.nat(1e9), silence: fc.nat(1e7) })

  it('is later than now, and at most half an interval after the kernel may have probed', () => {
    fc.assert(
      fc.property(profile, fc.nat(400_000), look, (settings, userTimeout, { heardAt, silence }) => {
        const own = { ...settings, userTimeout }
        const sampledAt = heardAt + silence
        const calm = calmUntil({ sampledAt, heardAt }, own)
        expect(calm).toBeGreaterThanOrEqual(sampledAt + Math.min(SLOT, own.initialDelay - silence || SLOT))
        const due = heardAt + own.initialDelay
        // To report suspicion an interval before death, samples must be at most half an interval apart.
        expect(calm).toBeLessThanOrEqual(Math.max(due, sampledAt + own.interval / 2))
        // Data that is sent right now ends the connection after userTimeout.
        if (own.userTimeout) {
          expect(calm).toBeLessThanOrEqual(
            sampledAt + Math.max(1_000, own.userTimeout - own.interval - 1_000),
          )
        }
      }),
    )
  })

  it('is a minute later without keepalive and userTimeout, to notice retransmissions', () => {
    const off: Keepalive = {
      enable: false,
      initialDelay: 1_000,
      interval: 1_000,
      count: 1,
      userTimeout: undefined,
    }
    expect(calmUntil({ sampledAt: 5_000, heardAt: 0 }, off)).toBe(65_000)
  })
})

const heartbeat = fc.record({
  every: fc.integer({ min: 1_000, max: 600_000 }),
  timeout: fc.constant(300),
  attempts: fc.integer({ min: 1, max: 5 }),
})
const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('a probe of a heartbeat', () => {
  it('leaves after at least a second of idle time, and in the last tenth of `every` if that is later', () => {
    fc.assert(
      fc.property(heartbeat, share, fc.nat(1e9), (beat, random, heardAt) => {
        const at = nextBeat(heardAt, beat, random) - heardAt
        expect(at).toBeGreaterThanOrEqual(1_000)
        expect(at).toBeGreaterThanOrEqual(beat.every * 0.9 - 1e-6)
        expect(at).toBeLessThanOrEqual(Math.max(beat.every, 1_000 + beat.every / 10) + 1e-6)
      }),
    )
  })

  it('is due only once until the peer is heard', () => {
    fc.assert(
      fc.property(heartbeat, share, fc.nat(1_000_000), (beat, random, silence) => {
        const heardAt = 1_000_000
        const look = quiet({ heardAt, sampledAt: heardAt + silence })
        const state = heard(heardAt, beat, random)
        const { beatAt } = state
        observe(state, look, undefined, beat, random)
        const { isToBeProbed, sampleAt } = state
        expect(isToBeProbed).toBe(silence >= beatAt - heardAt)
        expect(sampleAt).toBe(isToBeProbed ? Number.POSITIVE_INFINITY : beatAt)
        if (!isToBeProbed) return
        observe(state, quiet({ heardAt, sampledAt: look.sampledAt + 1_000_000 }), undefined, beat, random)
        expect(state.isToBeProbed).toBe(false)
      }),
    )
  })

  it('is scheduled again when the peer was heard in between', () => {
    fc.assert(
      fc.property(heartbeat, share, fc.integer({ min: 26, max: 100_000 }), (beat, random, later) => {
        const state = heard(0, beat, random)
        observe(state, quiet({ heardAt: later, sampledAt: later + 10 }), undefined, beat, random)
        expect(state.isToBeProbed).toBe(false)
        expect(state.sampleAt).toBe(nextBeat(later, beat, random))
      }),
    )
  })

  it('is spread over a tenth of `every` for peers that were heard together, and later over all of it', () => {
    const random = seeded(7)
    const first = Array.from({ length: 10_000 }, () => nextBeat(0, fiveSeconds, random()))
    for (const count of binned(first, 50, 100).slice(90)) expect(count).toBeGreaterThan(800)
    const beats = Array.from({ length: 10_000 }, () => beatsOf(fiveSeconds, 0, 120_000, random))
    // 10,000 in 4.75 s on average.
    const perSecond = binned(beats.flat(), 1_000, 120).slice(15)
    // No peer is probed within a second of being heard, so early rounds have gaps. No second may have many more probes than the average.
    for (const count of perSecond) expect(count / (10_000 / 4.75)).toBeLessThan(1.3)
  })

  it('is spread evenly over `every` for ten thousand peers that had been idle before', () => {
    const random = seeded(7)
    const beats = Array.from({ length: 10_000 }, () => beatsOf(fiveSeconds, -60_000, 60_000, random))
    expect(Math.max(...beats.map(([first]) => first!))).toBeLessThanOrEqual(5_000)
    const perSecond = binned(beats.flat(), 1_000, 60)
    for (const count of perSecond) expect(Math.abs(count / (10_000 / 4.75) - 1)).toBeLessThan(0.25)
  })

  it('leaves earlier than nine tenths of `every` only once, after the first acknowledgement', () => {
    const random = seeded(3)
    for (let i = 0; i < 1_000; i++) {
      const beats = beatsOf(fiveSeconds, 0, 60_000, random)
      const waits = beats.map((beat, j) => beat - (beats[j - 1] ?? 0))
      for (const [j, wait] of waits.entries()) {
        expect(wait).toBeGreaterThanOrEqual(j === 1 ? 1_000 : 4_500)
        expect(wait).toBeLessThanOrEqual(5_000)
      }
    }
  })
})

const fiveSeconds: Heartbeat = { every: 5_000, timeout: 300, attempts: 3 }

/** The times of the probes to a peer that always acknowledges at once. */
function beatsOf(beat: Heartbeat, heardAt: number, end: number, random: () => number): number[] {
  const beats: number[] = []
  const state = firstState({ sampledAt: 0, heardAt }, beat, random())
  for (let now = state.beatAt; now < end; now = state.beatAt) {
    observe(state, quiet({ sampledAt: now, heardAt: state.heardAt }), undefined, beat, 0)
    if (!state.isToBeProbed) throw new Error('not asked')
    beats.push(now)
    afterAnswer(state, now, beat, random())
  }
  return beats
}

/** The state of a new connection. */
function heard(heardAt: number, beat: Heartbeat | undefined, random: number) {
  return firstState({ sampledAt: heardAt, heardAt }, beat, random)
}

function binned(values: readonly number[], width: number, bins: number): number[] {
  const counts = new Array<number>(bins).fill(0)
  for (const value of values) counts[Math.floor(value / width)]!++
  return counts
}

function quiet(part: Pick<Sample, 'sampledAt' | 'heardAt'>): Sample {
  return {
    state: 1,
    probes: 0,
    retransmits: 0,
    unacked: 0,
    notSent: 0,
    rto: 200,
    dataAt: part.heardAt,
    ...part,
  }
}

describe('a thousand connections in a year', () => {
  it('are each probed once per 0.9 to 1 hour with an hourly heartbeat, evenly spread, without a suspicion', () => {
    const random = seeded(11)
    const beat: Heartbeat = { every: 3_600_000, timeout: 300, attempts: 3 }
    const own: Keepalive = { enable: false, initialDelay: 0, interval: 0, count: 0, userTimeout: 0 }
    const year = 365 * 24 * 3_600_000
    const perMinute = new Array<number>(60).fill(0)
    let beats = 0
    for (let i = 0; i < 1_000; i++) {
      const state = heard(0, beat, random())
      // The connection is sampled only when a heartbeat is due.
      for (let now = state.beatAt; now < year; now = state.beatAt) {
        const look = quiet({ sampledAt: now, heardAt: state.heardAt })
        const event = observe(state, look, own, beat, random())
        if (!state.isToBeProbed || event) throw new Error('not so')
        beats++
        perMinute[Math.floor(now / 60_000) % 60]!++
        // Acknowledged after 20 ms.
        afterAnswer(state, now + 20, beat, random())
      }
    }
    // Probes are 0.9 to 1 hour apart.
    const expected = (1_000 * year) / (0.95 * beat.every + 20)
    expect(beats / expected).toBeCloseTo(1, 3)
    for (const count of perMinute) expect(count / (beats / 60)).toBeCloseTo(1, 1)
  })
})

describe('a heartbeat whose probes the kernel sends', () => {
  it.each([
    { every: 1_000, period: undefined },
    { every: 2_000, period: 2_000 },
    { every: 5_000, period: 5_000 },
    { every: 16_000, period: 16_000 },
    { every: 17_000, period: undefined },
  ])('has an `every` of 2 to 16 s: every $every, period $period', ({ every, period }) => {
    expect(kernelPeriod({ every, timeout: 300, attempts: 3 })).toBe(period)
  })

  /** The peer was heard at 0, and the kernel probes after 5 s. */
  const lent = () => {
    const state = { ...heard(0, fiveSeconds, 0), isSpread: true }
    beginKernelBeats(state, 5_000)
    afterAnswer(state, 0, fiveSeconds, 0)
    observe(state, quiet({ heardAt: 0, sampledAt: 10 }), undefined, fiveSeconds, 0)
    return state
  }
  const look = (heardAt: number, sampledAt: number) => quiet({ heardAt, sampledAt })

  it('is sampled when the acknowledgement must have arrived, and later by the delay of the last sample', () => {
    const state = lent()
    expect(state.sampleAt).toBe(5_000 * 1.125 + 300)
    observe(state, look(5_120, state.sampleAt), undefined, fiveSeconds, 0)
    expect({ ...state }).toMatchObject({ isToBeProbed: false, sampleAt: 5_120 + 5_120 + 300 })
    observe(state, look(10_240, state.sampleAt), undefined, fiveSeconds, 0)
    expect({ ...state }).toMatchObject({ isToBeProbed: false, sampleAt: 10_240 + 5_120 + 300 })
    expect(kernelBeats(state)).toBe(true)
  })

  it('ends when the peer is heard at any other time', () => {
    for (const heardAt of [3_000, 4_900, 5_950]) {
      const state = lent()
      observe(state, look(heardAt, 5_960), undefined, fiveSeconds, 0.5)
      expect(state.sampleAt).toBe(nextBeat(heardAt, fiveSeconds, 0.5))
      // Peers that were heard at the same time are spread before the kernel sends their heartbeats again.
      expect([kernelBeats(state), state.isSpread]).toEqual([false, false])
    }
  })

  it('begins only after a new random delay if the connection was heard in between', () => {
    const state = { ...heard(0, fiveSeconds, 0), isSpread: true }
    observe(state, look(3_000, 3_010), undefined, fiveSeconds, 0)
    expect(state.isSpread).toBe(false)
    afterAnswer(state, 8_000, fiveSeconds, 0.5)
    expect(state).toMatchObject({ isSpread: true, beatAt: 8_000 + 1_000 + 0.5 * 4_000 })
  })

  it('ends when a probe is not acknowledged, and deadpeer sends the next one', () => {
    const state = lent()
    observe(state, look(0, state.sampleAt), undefined, fiveSeconds, 0)
    expect({ ...state }).toMatchObject({ isToBeProbed: true, sampleAt: Number.POSITIVE_INFINITY })
  })
})

it('probes a connection that has never answered after 1 s, then 2 s, and so on up to every', () => {
  const beat = { every: 5_000, timeout: 300, attempts: 3 }
  const state = firstState({ sampledAt: 0, heardAt: 0 }, beat, 0, false)
  const waits = [state.beatAt]
  for (let heardAt = 500; heardAt < 2_500; heardAt += 500) {
    observe(state, quiet({ sampledAt: heardAt, heardAt }), undefined, beat, 0)
    waits.push(state.beatAt - heardAt)
  }
  // Without jitter a wait is a tenth shorter, but never below 1 s.
  expect(waits).toEqual([1_000, 1_800, 3_600, 4_500, 4_500])
  afterAnswer(state, 3_000, beat, 0)
  expect(state.wait).toBe(Number.POSITIVE_INFINITY)
})
