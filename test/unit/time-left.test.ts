import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { detectionTime } from '../../src/index.js'
import type { TcpInfo } from '../../src/kernel/tcp-info.js'
import { type RunningTimer, timeLeft } from '../../src/profile/time-left.js'

const established = {
  state: 1,
  probes: 0,
  unacked: 0,
  notsentBytes: 0,
  rtt: 0,
  rto: 200_000,
  backoff: 0,
  retransmits: 0,
  lastAckRecv: 0,
  lastDataRecv: 0,
}
const info = (fields: Partial<TcpInfo>) => ({ ...established, ...fields }) as TcpInfo
const silent = (ms: number) => ({ lastAckRecv: ms, lastDataRecv: ms })
const keepalive = (expires: number): RunningTimer => ({ timer: 'keepalive', expires })
const profile = { enable: true, initialDelay: 30_000, interval: 10_000, count: 3 }

describe('the time that a connection has left if its peer is never heard again', () => {
  it('is the detection time right after it was heard', () => {
    const seconds = (max: number) => fc.integer({ min: 1, max }).map((s) => s * 1_000)
    fc.assert(
      fc.property(
        seconds(1_000),
        seconds(1_000),
        fc.integer({ min: 1, max: 127 }),
        fc.oneof(fc.constant(0), fc.integer({ min: 100, max: 3_000_000 })),
        (a, b, n, u) => {
          const settings = { enable: true, initialDelay: a, interval: b, count: n, userTimeout: u }
          expect(timeLeft(info({}), settings, keepalive(a))).toEqual({
            ms: detectionTime(settings).idle,
            isExact: true,
          })
        },
      ),
    )
  })

  it.each([
    { what: 'half way to the first probe', fields: silent(15_000), dueIn: 15_000, ms: 45_000 },
    { what: 'one probe unanswered', fields: { ...silent(32_000), probes: 1 }, dueIn: 8_000, ms: 28_000 },
    { what: 'all of them unanswered', fields: { ...silent(52_000), probes: 3 }, dueIn: 8_000, ms: 8_000 },
    {
      what: 'a timer that will be set anew: heard since it was set',
      fields: silent(2_000),
      dueIn: 5_000,
      ms: 58_000,
    },
    {
      what: 'a timer that was set late: keepalive was switched on just now',
      fields: silent(100_000),
      dueIn: 30_000,
      ms: 60_000,
    },
  ])('is right $what', ({ fields, dueIn, ms }) => {
    expect(timeLeft(info(fields), profile, keepalive(dueIn))).toEqual({ ms, isExact: true })
  })

  it.each([
    { what: 'count is moot', fields: silent(0), dueIn: 30_000, ms: 40_000 },
    {
      what: 'exceeded already: the next probe is the last',
      fields: silent(100_000),
      dueIn: 5_000,
      ms: 15_000,
    },
    {
      what: 'exceeded, and a probe unanswered',
      fields: { ...silent(36_000), probes: 1 },
      dueIn: 4_000,
      ms: 4_000,
    },
  ])('is right with a user timeout: $what', ({ fields, dueIn, ms }) => {
    expect(timeLeft(info(fields), { ...profile, userTimeout: 35_000 }, keepalive(dueIn))).toEqual({
      ms,
      isExact: true,
    })
  })

  it('is an upper bound with data in flight', () => {
    expect(timeLeft(info({ unacked: 1 }), { ...profile, userTimeout: 35_000 })).toEqual({
      ms: 35_400,
      isExact: false,
    })
  })

  it('is endless without keepalive, and unknown for a connection that is closing', () => {
    expect(timeLeft(info({}), { enable: false })).toEqual({
      ms: Number.POSITIVE_INFINITY,
      isExact: true,
    })
    expect(timeLeft(info({ state: 5 }), profile)).toBeUndefined()
  })
})

describe('the time left with data in flight and without a user timeout', () => {
  const inFlight = (fields: Partial<TcpInfo>, defaults?: object) =>
    timeLeft(info({ unacked: 1, ...fields }), profile, undefined, defaults)

  it.each([
    // With a timeout of 204 ms the retransmissions leave 408, 816, 1632 … ms after one another.
    { retries2: 3, rto: 204, ms: 400 + 6_120 },
    { retries2: 5, rto: 204, ms: 400 + 13_056 },
    { retries2: 5, rto: 1_000, ms: 400 + 63_000 },
  ])('is at most $ms ms with tcp_retries2 $retries2 and a timeout of $rto ms', ({ retries2, rto, ms }) => {
    const left = inFlight({ rto: rto * 1_000 }, { retries2 })!
    expect(left.isExact).toBe(false)
    expect(left).not.toHaveProperty('assumed')
    expect(left.ms).toBeLessThanOrEqual(ms)
    expect(left.ms).toBeGreaterThanOrEqual(detectionTime(profile, { defaults: { retries2 } }).inFlight)
  })

  it('does not include the time between the retransmissions so far', () => {
    const three = { rto: 1_632_000, backoff: 3, retransmits: 3 }
    expect(inFlight(three, { retries2: 5 })!.ms).toBe(12_648 - 408 - 816)
    expect(inFlight({ ...three, backoff: 2 }, { retries2: 5 })!.ms).toBeGreaterThan(12_600)
  })

  it('names its assumptions if the sysctls cannot be read', () => {
    expect(inFlight({}, undefined)).toMatchObject({ isExact: false, assumed: { retries2: 15 } })
    expect(inFlight({}, undefined)!.ms).toBeGreaterThan(924_600)
    const withUserTimeout = { ...profile, userTimeout: 35_000 }
    expect(timeLeft(info({ unacked: 1 }), withUserTimeout)).not.toHaveProperty('assumed')
  })
})

describe('the time left for a connection attempt', () => {
  const syn = (retransmits: number, wanted: object, defaults: object | undefined, expires?: number) =>
    timeLeft(
      info({ state: 2, retransmits }),
      wanted,
      { timer: expires === undefined ? 'off' : 'retransmit', expires },
      defaults,
    )

  it.each([
    { synCount: 1, synLinearTimeouts: 4, seconds: 3 },
    { synCount: 2, synLinearTimeouts: 4, seconds: 7 },
    { synCount: 3, synLinearTimeouts: 4, seconds: 19 },
    { synCount: 4, synLinearTimeouts: 4, seconds: 35 },
    { synCount: 6, synLinearTimeouts: 4, seconds: 131 },
    { synCount: 6, synLinearTimeouts: undefined, seconds: 127 },
    { synCount: 1, synLinearTimeouts: 1, seconds: 4 },
  ])('is $seconds s with synCount $synCount and tcp_syn_linear_timeouts $synLinearTimeouts', (row) => {
    const { synCount, synLinearTimeouts, seconds } = row
    expect(syn(0, { synCount }, { synLinearTimeouts }, 1_000)).toEqual({ ms: seconds * 1_000, isExact: true })
    expect(syn(0, { synCount }, { synLinearTimeouts })).toEqual({ ms: seconds * 1_000, isExact: false })
    // One SYN sent again a second later, half a second ago.
    expect(syn(1, { synCount }, { synLinearTimeouts })!.ms).toBe((seconds - 1) * 1_000)
  })

  it('ends with a user timeout, after at least a second', () => {
    const defaults = { synLinearTimeouts: 4 }
    expect(syn(0, { userTimeout: 2_500 }, defaults, 1_000)!.ms).toBe(2_500)
    expect(syn(0, { userTimeout: 500 }, defaults, 1_000)!.ms).toBe(1_000)
  })

  it('names its assumptions if the sysctls cannot be read', () => {
    expect(syn(0, {}, undefined)).toEqual({ ms: 131_000, isExact: false, assumed: { synLinearTimeouts: 4 } })
  })
})
