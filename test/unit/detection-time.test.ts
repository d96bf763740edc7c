import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { detectionTime, type Profile, profiles } from '../../src/index.js'

const seconds = (idle: number, interval: number, count: number, userTimeout?: number): Profile => ({
  initialDelay: idle * 1000,
  interval: interval * 1000,
  count,
  ...(userTimeout !== undefined && { userTimeout }),
})

describe('idle detection', () => {
  it.each([
    { profile: seconds(1, 1, 3), expected: 4_000 },
    { profile: seconds(2, 1, 1), expected: 3_000 },
    { profile: seconds(20, 5, 1), expected: 25_000 },
    { profile: seconds(1, 1, 3, 6_000), expected: 6_000 },
    { profile: seconds(1, 1, 3, 2_500), expected: 3_000 },
    { profile: seconds(1, 1, 3, 500), expected: 2_000 },
    { profile: seconds(1, 3, 2, 1_500), expected: 4_000 },
    { profile: seconds(1, 11, 111, 33_500), expected: 34_000 },
    { profile: { enable: true }, expected: 7_200_000 + 9 * 75_000 },
    { profile: { enable: false, ...seconds(1, 1, 1) }, expected: Number.POSITIVE_INFINITY },
    { profile: { userTimeout: 5_000 }, expected: Number.POSITIVE_INFINITY },
    { profile: {}, expected: Number.POSITIVE_INFINITY },
  ])('takes $expected ms for $profile', ({ profile, expected }) => {
    expect(detectionTime(profile as Profile).idle).toBe(expected)
  })

  it('needs at least one unanswered probe, and no more than fit into userTimeout', () => {
    const whole = fc.integer({ min: 1, max: 600 })
    fc.assert(
      fc.property(
        whole,
        whole,
        whole,
        fc.integer({ min: 100, max: 2_000_000 }),
        (idle, interval, count, userTimeout) => {
          const { idle: found } = detectionTime(seconds(idle, interval, Math.min(count, 127), userTimeout))
          expect(found).toBeGreaterThanOrEqual((idle + interval) * 1000)
          expect(found).toBeGreaterThanOrEqual(userTimeout)
          expect(found - interval * 1000).toBeLessThan(Math.max(userTimeout, (idle + interval) * 1000))
          expect((found - idle * 1000) % (interval * 1000)).toBe(0)
        },
      ),
    )
  })
})

describe('detection with data in flight', () => {
  it.each([
    { profile: { userTimeout: 100 }, expected: 500 },
    { profile: { userTimeout: 5_000 }, expected: 5_400 },
    { profile: {}, expected: 924_600 + 400 },
    { profile: { rtoMax: 1_000 }, expected: 14_400 + 400 },
    { profile: { rtoMax: 120_000 }, expected: 924_600 + 400 },
    { profile: { rtoMax: 1_000, userTimeout: 30_000 }, expected: 30_400 },
  ])('takes $expected ms for $profile', ({ profile, expected }) => {
    expect(detectionTime(profile).inFlight).toBe(expected)
  })

  it('waits for the first retransmission, which the round trip delays', () => {
    const { inFlight } = detectionTime('lan', { rtt: 150 })
    expect(inFlight).toBe(profiles.lan.userTimeout + 2 * 350)
  })
})

describe('the sysctls of a system', () => {
  it.each([
    { defaults: { retries2: 5 }, idle: Number.POSITIVE_INFINITY, inFlight: 12_600 + 400 },
    { defaults: { retries2: 3 }, idle: Number.POSITIVE_INFINITY, inFlight: 3_000 + 400 },
    { defaults: { retries2: 0 }, idle: Number.POSITIVE_INFINITY, inFlight: 200 + 400 },
    { defaults: { retries2: 15, rtoMax: 1_000 }, idle: Number.POSITIVE_INFINITY, inFlight: 14_400 + 400 },
    {
      defaults: { retries2: undefined, rtoMin: 50 },
      idle: Number.POSITIVE_INFINITY,
      inFlight: 924_600 + 100,
    },
  ])('give the time with data in flight: $defaults', ({ defaults, idle, inFlight }) => {
    expect(detectionTime({}, { defaults })).toEqual({ idle, inFlight })
  })

  it('apply only to fields that the profile leaves out', () => {
    const defaults = { initialDelay: 3_000, interval: 2_000, count: 3 }
    expect(detectionTime({ enable: true }, { defaults }).idle).toBe(9_000)
    expect(detectionTime({ initialDelay: 5_000, count: 1 }, { defaults }).idle).toBe(7_000)
    expect(detectionTime({ initialDelay: undefined } as never, { defaults }).idle).toBe(Infinity)
  })

  it.each([
    { defaults: null, code: 'ERR_INVALID_ARG_TYPE' },
    { defaults: 15, code: 'ERR_INVALID_ARG_TYPE' },
    { defaults: { retries2: -1 }, code: 'ERR_OUT_OF_RANGE' },
    { defaults: { retries2: '5' }, code: 'ERR_INVALID_ARG_TYPE' },
    { defaults: { retires2: 5 }, code: 'ERR_INVALID_ARG_TYPE' },
    { defaults: { rtoMax: Number.NaN }, code: 'ERR_OUT_OF_RANGE' },
  ])('are refused with $code: $defaults', ({ defaults, code }) => {
    expect(() => detectionTime('lan', { defaults: defaults as never })).toThrow(
      expect.objectContaining({ code, field: expect.stringContaining('defaults') }),
    )
  })
})

it('takes the detection time of presets by name, and refuses unknown ones', () => {
  expect(detectionTime('cloud')).toEqual(detectionTime(profiles.cloud))
  expect(() => detectionTime('clown' as never)).toThrow(/Unknown preset 'clown'/)
})

it.each([-1, Number.NaN, '5', Number.POSITIVE_INFINITY])('refuses a round trip of %s', (rtt) => {
  expect(() => detectionTime('lan', { rtt: rtt as number })).toThrow(/rtt/)
})
