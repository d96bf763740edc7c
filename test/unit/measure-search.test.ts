import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Observation } from '../../src/path/index.js'
import { interpret } from '../../src/path/measure/interpret.js'
import { bracketOf, nextAges, refreshPlan, timeLeft, toleranceOf } from '../../src/path/measure/search.js'
import { type ModelPath, measureModel, openPath } from '../support/path-model.js'
import { seeded } from '../support/seeded-random.js'

const MINUTE = 60_000
const options = { upTo: 10 * MINUTE, connections: 12 }
const interpreted = (observations: readonly Observation[]) =>
  interpret(observations, {
    upTo: options.upTo,
    notOpened: { count: 0, reason: '' },
    notIdle: { count: 0, quietFor: 0 },
  })

function observation(fields: Partial<Observation>): Observation {
  const { idle = 1_000, outcome = 'alive' } = fields
  const times = outcome === 'alive' ? { aliveAt: idle } : { aliveAt: 0, goneAt: idle }
  const counts = { round: 1, unasked: false, probes: 1, acknowledged: 1, unacknowledgedAtEnd: 0, at: idle }
  return { idle, outcome, ...times, ...counts, ...fields }
}

const limits = fc.double({ min: 3_000, max: options.upTo * 0.97, noNaN: true })
const seeds = fc.integer()

describe('the search for an idle limit', () => {
  it('finds any limit of a hop to 1 % or 1 s, in at most four times the limit', () => {
    fc.assert(
      fc.property(limits, fc.constantFrom('silent', 'reset'), seeds, (limit, answer, seed) => {
        const path: ModelPath = { ...openPath, limit, answer }
        const { observations, took, most } = measureModel(path, options, seeded(seed))
        const { atLeast, atMost } = bracketOf(observations)
        expect(atLeast).toBeLessThanOrEqual(limit)
        expect(atMost).toBeGreaterThanOrEqual(limit)
        expect(atMost - atLeast).toBeLessThanOrEqual(toleranceOf(limit))
        expect(most).toBeLessThanOrEqual(options.connections)
        // Below 30 s the fixed times, such as those of unacknowledged probes, weigh more.
        expect(took).toBeLessThanOrEqual(4 * limit + (limit < 30_000 ? 5_000 : 0))
      }),
      { numRuns: 2_000 },
    )
  })

  it('finds it with 5 % loss on both sides of the hop in 99 % of the cases, and never misses it by more than 10 %', () => {
    const random = seeded(7)
    const runs = 2_000
    let wrong = 0
    for (let run = 0; run < runs; run++) {
      const limit = 3_000 + random() * options.upTo * 0.95
      const path: ModelPath = { ...openPath, limit, answer: run % 2 ? 'silent' : 'reset', loss: 0.05 }
      const { atLeast, atMost } = bracketOf(measureModel(path, options, random).observations)
      expect(atLeast).toBeLessThanOrEqual(limit)
      expect(atMost).toBeGreaterThan(0.9 * limit - 1_500)
      expect(atMost - atLeast).toBeLessThanOrEqual(toleranceOf(limit))
      wrong += Number(atMost < limit)
    }
    expect(wrong).toBeLessThanOrEqual(runs / 100)
  })

  it('finds the time after which the other end closes, and confirms it in a second round', () => {
    fc.assert(
      fc.property(limits, fc.constantFrom('close', 'reset'), seeds, (closesAfter, closesBy, seed) => {
        const path: ModelPath = { ...openPath, closesAfter, closesBy }
        const { observations, rounds } = measureModel(path, options, seeded(seed))
        const { idleLimit, expiredBy, probesCount } = interpreted(observations)
        expect(idleLimit!.atLeast).toBeLessThanOrEqual(closesAfter)
        expect(idleLimit!.atMost).toBeGreaterThanOrEqual(closesAfter)
        expect(idleLimit!.atMost - idleLimit!.atLeast).toBeLessThanOrEqual(1_000)
        expect({ rounds, expiredBy, probesCount }).toEqual({
          rounds: 2,
          expiredBy: 'peer',
          probesCount: false,
        })
      }),
    )
  })

  it('takes upTo and one round where there is no limit', () => {
    const { observations, rounds, took } = measureModel(openPath, options, seeded(1))
    expect(bracketOf(observations)).toEqual({ atLeast: options.upTo, atMost: Number.POSITIVE_INFINITY })
    expect({ rounds, took }).toEqual({ rounds: 1, took: options.upTo })
  })

  it('tries upTo alone if that is all that fits', () => {
    expect(nextAges([], { upTo: 2_000, connections: 2 })).toEqual([1_500, 2_000])
  })

  it('tries longer idle times again if the connections were not idle for so long', () => {
    const short = [2_000, 5_000, 10_000].map((idle) => observation({ idle }))
    const ages = nextAges(short, options)
    expect(ages).toHaveLength(12)
    expect(ages[0]).toBeGreaterThan(10_000)
    expect(ages.at(-1)).toBeCloseTo(options.upTo)
  })

  it('keeps the shorter limit if connections contradict each other', () => {
    const gone = observation({ idle: 9_000, outcome: 'silent' })
    const all = [observation({ idle: 8_500 }), gone, observation({ idle: 12_000 })]
    expect(bracketOf(all)).toEqual({ atLeast: 8_500, atMost: 9_000 })
  })

  it('does not take connections of different ages that end at the same moment for a limit', () => {
    const ages = [9_000, 9_100, 9_200, 9_300, 9_400]
    const together = ages.map((idle) => observation({ idle, outcome: 'close', unasked: true, at: 9_400 }))
    expect(bracketOf(together).atMost).toBe(Number.POSITIVE_INFINITY)
    // The same number at the same age, one after the other, is a limit.
    const oneByOne = ages.map((at) => observation({ idle: 9_000, outcome: 'close', unasked: true, at }))
    expect(bracketOf(oneByOne).atMost).toBe(9_000)
  })

  it('never plans a refresh for a limit that is not known, or shorter than a probe takes', () => {
    expect(refreshPlan([observation({ idle: 9_000 })])).toBeUndefined()
    const short = [observation({ idle: 1_400 }), observation({ idle: 1_600, outcome: 'silent' })]
    expect(refreshPlan(short)).toBeUndefined()
  })

  it('probes six times within the limit, until the connection is older than the limit', () => {
    const known = [observation({ idle: 9_000 }), observation({ idle: 9_800, outcome: 'silent' })]
    const { every, until } = refreshPlan(known)!
    expect(every).toBe(1_500)
    expect(until).toBeGreaterThan(9_800)
    expect(until).toBeLessThan(9_800 * 1.25)
  })

  it('says how long the rest takes', () => {
    expect(timeLeft([], options)).toBe(options.upTo)
    const wide = [observation({ idle: 50_000 }), observation({ idle: 80_000, outcome: 'silent' })]
    expect(timeLeft(wide, options)).toBe(2 * 82_000)
    const narrow = [observation({ idle: 50_000 }), observation({ idle: 50_900, outcome: 'silent' })]
    expect(timeLeft(narrow, options)).toBe(0)
  })
})

describe('what the observations say about probes', () => {
  const path: ModelPath = { ...openPath, limit: 60_000 }

  it.each([
    { what: 'a path that acknowledges probes', answers: Number.POSITIVE_INFINITY, expected: 'yes' },
    { what: 'a path that acknowledges none', answers: 0, expected: 'no' },
  ])('calls $what "$expected", with 5 % loss in 99 % of the cases', ({ answers, expected }) => {
    const random = seeded(11)
    const runs = 1_000
    const isRight = (loss: number) => {
      const { observations } = measureModel({ ...path, answers, loss }, options, random)
      return interpreted(observations).answersProbes === expected
    }
    expect(isRight(0)).toBe(true)
    const right = Array.from({ length: runs }, () => isRight(0.05)).filter(Boolean).length
    expect(right).toBeGreaterThanOrEqual(0.99 * runs)
  })

  it('calls a path unreliable that acknowledges the first probe of a connection and then none', () => {
    const longRefresh = { ...path, answers: 1 }
    const { observations } = measureModel(longRefresh, options, seeded(3))
    expect(interpreted(observations).answersProbes).toBe('unreliable')
  })

  it.each([true, false])(
    'tells whether they restart the idle time (%s), acknowledged or not',
    (probesCount) => {
      fc.assert(
        fc.property(limits, fc.constantFrom(0, Number.POSITIVE_INFINITY), seeds, (limit, answers, seed) => {
          const { observations } = measureModel(
            { ...openPath, limit, probesCount, answers },
            options,
            seeded(seed),
          )
          expect(interpreted(observations).probesCount).toBe(probesCount)
        }),
      )
    },
  )

  it('does not know whether they restart the idle time if there is no limit', () => {
    const { observations } = measureModel(openPath, options, seeded(1))
    const { probesCount, idleLimit, onExpiry, notes } = interpreted(observations)
    expect({ probesCount, idleLimit, onExpiry, notes }).toEqual({ notes: [] })
  })
})

describe('what the observations say about the limit', () => {
  it.each([
    { path: { limit: 60_000 }, onExpiry: 'silent', expiredBy: 'hop' },
    { path: { limit: 60_000, answer: 'reset' }, onExpiry: 'reset', expiredBy: 'hop' },
    { path: { limit: 60_000, answer: 'reset', probesCount: false }, onExpiry: 'reset', expiredBy: 'unknown' },
    { path: { closesAfter: 20_000 }, onExpiry: 'close', expiredBy: 'peer' },
    { path: { closesAfter: 20_000, closesBy: 'reset' }, onExpiry: 'reset', expiredBy: 'peer' },
    { path: { closesAfter: 20_000, limit: 60_000 }, onExpiry: 'close', expiredBy: 'peer' },
    { path: { closesAfter: 60_000, limit: 20_000 }, onExpiry: 'silent', expiredBy: 'hop' },
  ] as const)('$path: $onExpiry by the $expiredBy', ({ path, onExpiry, expiredBy }) => {
    const { observations } = measureModel({ ...openPath, ...path }, options, seeded(5))
    const found = interpreted(observations)
    expect({ onExpiry: found.onExpiry, expiredBy: found.expiredBy }).toEqual({ onExpiry, expiredBy })
    const hides = found.notes.some(({ code }) => code === 'closed-by-peer')
    expect(hides).toBe(expiredBy === 'peer')
  })

  it('names contradictions, ends at one moment, missing connections and peers that are not idle', () => {
    const together = [1, 2, 3].map((i) =>
      observation({ idle: i * 1_000, outcome: 'reset', unasked: true, at: 3_000 }),
    )
    const observations = [
      ...together,
      observation({ idle: 9_000, outcome: 'silent' }),
      observation({ idle: 12_000 }),
    ]
    const { notes } = interpret(observations, {
      upTo: 20_000,
      incomplete: 'It was interrupted.',
      notOpened: { count: 2, reason: 'refused' },
      notIdle: { count: 3, quietFor: 4_000 },
    })
    const codes = ['incomplete', 'contradiction', 'ended-together', 'peer-not-idle', 'not-opened']
    expect(notes.map(({ code }) => code)).toEqual(codes)
  })
})
