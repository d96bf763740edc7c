import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IdleLimit } from '../../src/http/idle-limit.js'
import { seeded } from '../support/seeded-random.js'

const HOUR = 3_600_000

/** One closing a second. */
function closings(ages: readonly number[], limit = new IdleLimit(), from = 0): IdleLimit {
  for (const [i, age] of ages.entries()) limit.closed(age, from + i * 1_000)
  return limit
}

describe('the learned idle limit', () => {
  it('is known after four moments that agree within 5 %, and is the lowest of their ages', () => {
    const limit = closings([300, 302, 310])
    expect(limit.limit(3_000)).toBeUndefined()
    limit.closed(301, 3_000)
    expect(limit.limit(3_000)).toBe(300)
  })

  it('does not need every closing to agree', () => {
    expect(closings([2_000, 300, 302, 900, 310, 301]).limit(6_000)).toBe(300)
  })

  it.each([
    { title: 'three agree', ages: [300, 302, 310, 900, 1_800] },
    { title: 'they differ by more than 5 %', ages: [300, 310, 320, 330] },
    {
      title: 'those that agree are more than six moments old',
      ages: [300, 302, 900, 1_000, 2_000, 4_000, 8_000, 301, 303],
    },
    { title: 'the server closes connections at once after a response', ages: [1, 1, 1, 1, 1] },
    { title: 'the age is not a number', ages: [Number.NaN, Number.NaN, Number.NaN, Number.NaN] },
  ])('is not known if $title', ({ ages }) => {
    expect(closings(ages).limit(ages.length * 1_000)).toBeUndefined()
  })

  it('is not learned from many closings at one moment, such as a deploy, even if the ages agree', () => {
    const limit = new IdleLimit()
    for (let i = 0; i < 1_000; i++) limit.closed(300 + i / 100, i / 10)
    expect(limit.limit(200)).toBeUndefined()
  })

  it('is not learned from four restarts that close connections of many ages', () => {
    const limit = new IdleLimit()
    for (let restart = 0; restart < 6; restart++) {
      for (const age of [300, 500, 700, 2_000]) limit.closed(age, restart * 60_000)
    }
    expect(limit.limit(400_000)).toBeUndefined()
  })

  it('is never above what the server announces', () => {
    const limit = closings([6_000, 6_000, 6_000, 6_000])
    limit.announced(5_000)
    expect(limit.limit(4_000)).toBe(5_000)
    limit.announced(60_000)
    expect(limit.limit(4_000)).toBe(6_000)
  })

  it('is not an announcement alone', () => {
    const limit = new IdleLimit()
    limit.announced(5_000)
    expect(limit.limit(0)).toBeUndefined()
    expect(limit.reusableUntil(0, 0)).toBe(Number.POSITIVE_INFINITY)
  })

  it('is forgotten one hour after the last closing that confirms it', () => {
    const limit = closings([300, 300, 300, 300])
    limit.closed(301, 10_000)
    expect(limit.limit(10_000 + HOUR - 1)).toBe(300)
    expect(limit.limit(10_000 + HOUR)).toBeUndefined()
    // The closings themselves are forgotten too.
    limit.closed(301, 20_000 + HOUR)
    expect(limit.limit(20_000 + HOUR)).toBeUndefined()
  })

  it('follows a server that lowers its limit', () => {
    const limit = closings([2_000, 2_000, 2_000, 2_000])
    closings([500, 500, 500, 500], limit, 10_000)
    expect(limit.limit(14_000)).toBe(500)
  })

  it('follows a server that raises its limit, once no remembered closing is at the former one', () => {
    const limit = closings([500, 500, 500, 500])
    closings([2_000, 2_000, 2_000, 2_000], limit, 10_000)
    expect(limit.limit(14_000)).toBe(500)
    closings([2_000, 2_000], limit, 14_000)
    expect(limit.limit(16_000)).toBe(2_000)
  })

  it.each([
    { limit: 300, rtt: 0, until: 285 },
    { limit: 300, rtt: 20, until: 245 },
    { limit: 5_000, rtt: 1, until: 4_748 },
    { limit: 60_000, rtt: 0, until: 59_000 },
  ])(
    'allows reuse until $until ms with a limit of $limit ms and a round-trip time of $rtt ms',
    ({ limit, rtt, until }) => {
      const learned = new IdleLimit()
      for (let i = 0; i < 4; i++) learned.closed(limit, i * 10_000)
      expect(learned.reusableUntil(rtt, 40_000)).toBe(until)
    },
  )

  it('is one of the observed ages, at most the announced one, and at most the share that 5 % allow above the lowest limit', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.double({ min: 0, max: 10_000, noNaN: true }), fc.integer({ min: 0, max: 60_000 })),
        ),
        fc.option(fc.integer({ min: 0, max: 10_000 }), { nil: undefined }),
        (events, announced) => {
          const limit = new IdleLimit()
          let now = 0
          if (announced !== undefined) limit.announced(announced)
          for (const [age, wait] of events) {
            now += wait
            limit.closed(age, now)
          }
          const known = limit.limit(now)
          if (known === undefined) return
          expect(known).toBeLessThanOrEqual(announced ?? Number.POSITIVE_INFINITY)
          expect(events.some(([age]) => age === known) || known === announced).toBe(true)
          expect(limit.reusableUntil(0, now)).toBeLessThanOrEqual(known)
        },
      ),
    )
  })

  it('is learned for any limit from 100 ms up, if closings come up to 4 % late', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 100, max: 600_000, noNaN: true }),
        fc.array(fc.double({ min: 0, max: 0.04, noNaN: true }), { minLength: 4, maxLength: 30 }),
        (real, delays) => {
          const limit = new IdleLimit()
          for (const [i, late] of delays.entries()) limit.closed(real * (1 + late), i * 60_000)
          const known = limit.limit(delays.length * 60_000)
          expect(known).toBeGreaterThanOrEqual(real)
          expect(known).toBeLessThanOrEqual(real * 1.04)
          expect(limit.reusableUntil(0, delays.length * 60_000)).toBeLessThan(real)
        },
      ),
    )
  })

  it('is learned by chance from fewer than 2 % of series of six closings at random ages', () => {
    let learned = 0
    const random = seeded(7)
    for (let run = 0; run < 2_000; run++) {
      const ages = Array.from({ length: 6 }, () => 100 + random() * 3_900)
      if (closings(ages).limit(10_000) !== undefined) learned++
    }
    expect(learned).toBeLessThan(40)
  })
})
