import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { timeLeft } from '../../src/detect/time-left.js'
import { detectionTime } from '../../src/index.js'
import type { TcpInfo } from '../../src/kernel/tcp-info.js'

const established = {
  state: 1,
  probes: 0,
  unacked: 0,
  notsentBytes: 0,
  rtt: 0,
  lastAckRecv: 0,
  lastDataRecv: 0,
}
const info = (fields: Partial<TcpInfo>) => ({ ...established, ...fields }) as TcpInfo
const silent = (ms: number) => ({ lastAckRecv: ms, lastDataRecv: ms })
const profile = { enable: true, initialDelay: 30_000, interval: 10_000, count: 3 }

describe('how long a connection has left if its peer is never heard again', () => {
  it('right after it was heard: as long as it takes to detect', () => {
    const seconds = (max: number) => fc.integer({ min: 1, max }).map((s) => s * 1_000)
    fc.assert(
      fc.property(
        seconds(1_000),
        seconds(1_000),
        fc.integer({ min: 1, max: 127 }),
        fc.nat(3_000_000),
        (a, b, n, u) => {
          const settings = { enable: true, initialDelay: a, interval: b, count: n, userTimeout: u }
          expect(timeLeft(info({}), settings, a)).toEqual({ ms: detectionTime(settings).idle, isExact: true })
        },
      ),
    )
  })

  it.each([
    ['half way to the first probe', silent(15_000), 15_000, 45_000],
    ['one probe unanswered', { ...silent(32_000), probes: 1 }, 8_000, 28_000],
    ['all of them unanswered', { ...silent(52_000), probes: 3 }, 8_000, 8_000],
    ['a timer that will be set anew: heard since it was set', silent(2_000), 5_000, 58_000],
    ['a timer that was set late: keepalive was switched on just now', silent(100_000), 30_000, 60_000],
  ])('%s', (_, fields, dueIn, ms) => {
    expect(timeLeft(info(fields), profile, dueIn)).toEqual({ ms, isExact: true })
  })

  it.each([
    ['count is moot', silent(0), 30_000, 40_000],
    ['exceeded already: the next probe is the last', silent(100_000), 5_000, 15_000],
    ['exceeded, and a probe unanswered', { ...silent(36_000), probes: 1 }, 4_000, 4_000],
  ])('with a user timeout: %s', (_, fields, dueIn, ms) => {
    expect(timeLeft(info(fields), { ...profile, userTimeout: 35_000 }, dueIn)).toEqual({ ms, isExact: true })
  })

  it('data in flight: at the most, by the other clock', () => {
    expect(timeLeft(info({ unacked: 1 }), { ...profile, userTimeout: 35_000 }, undefined)).toEqual({
      ms: 35_400,
      isExact: false,
    })
  })

  it('without keepalive for ever; and one that is closing has no such time', () => {
    expect(timeLeft(info({}), { enable: false }, undefined)).toEqual({
      ms: Number.POSITIVE_INFINITY,
      isExact: true,
    })
    expect(timeLeft(info({ state: 5 }), profile, undefined)).toBeUndefined()
  })
})
