import { describe, expect, it } from 'vitest'
import type { Keepalive } from '../../src/kernel/liveness.js'
import {
  clockAfterStop,
  clockFrom,
  type OwnClock,
  whileAsking,
  whileUnanswered,
} from '../../src/overlay/guard.js'

const own: Keepalive = { enable: true, initialDelay: 5_000, interval: 2_000, count: 3, userTimeout: 0 }
const under = (userTimeout: number): Keepalive => ({ ...own, count: 9, userTimeout })
const clock = clockFrom(own)

// That these add up to the fate of a connection that nobody asked, probe-never-harms.test.ts shows by playing it.

describe('whileUnanswered', () => {
  it('is what the connection has where nothing of ours is unanswered', () => {
    expect(whileUnanswered(own, 0, clock)).toEqual(own)
    expect(whileUnanswered(under(3_000), 0, clock)).toEqual(under(3_000))
  })

  it('counts ours on top', () => {
    expect(whileUnanswered(own, 2, clock)).toEqual({ ...own, count: 5 })
  })

  it.each([
    ['that passes before the first firing', 1_000, 7_000],
    ['that passes before the second', 6_000, 7_000],
    ['that passes at a firing', 9_000, 9_000],
    ['that passes between two', 9_001, 11_000],
  ])('raises a userTimeout %s to the firing that ends the connection', (_, userTimeout, death) => {
    expect(whileUnanswered(under(userTimeout), 1, clock)).toEqual(under(death))
  })

  it('leaves a userTimeout alone that ends it at the next firing, where the kernel has asked already', () => {
    const late: OwnClock = { due: 9_000, initialDelay: 9_000, sent: 2 }
    expect(whileUnanswered(under(9_000), 1, late).userTimeout).toBe(9_000)
    expect(whileUnanswered(under(9_500), 1, late).userTimeout).toBe(11_000)
  })

  it('uses a userTimeout where there is no room to count, and only the count where there is none', () => {
    const most = { ...own, count: 126 }
    expect(whileUnanswered(most, 1, clock)).toEqual({ ...most, count: 127 })
    expect(whileUnanswered(most, 2, clock)).toEqual({ ...most, userTimeout: 5_000 + 126 * 2_000 })
    const mptcp = { ...most, userTimeout: undefined }
    expect(whileUnanswered(mptcp, 2, clock)).toEqual({ ...mptcp, count: 127 })
  })

  it('sets the timer by the clock that the connection has, and changes nothing where keepalive is off', () => {
    const late: OwnClock = { due: 7_400, initialDelay: 8_000, sent: 0 }
    expect(whileUnanswered(own, 1, late)).toEqual({ ...own, initialDelay: 8_000, count: 4 })
    const off = { ...own, enable: false }
    expect(whileUnanswered(off, 3, clock)).toEqual(off)
  })
})

describe('whileAsking', () => {
  it('asks at once, and then not before the connection itself is due, or a peer heard meanwhile', () => {
    expect(whileAsking(own, 1, clock, 2_000)).toEqual({
      ...own,
      initialDelay: 1_000,
      interval: 5_000,
      count: 4,
    })
    const late: OwnClock = { due: 9_500, initialDelay: 10_000, sent: 0 }
    expect(whileAsking(own, 1, late, 2_300).interval).toBe(8_000)
    const long = { ...own, interval: 60_000 }
    expect(whileAsking(long, 1, clock, 2_000).interval).toBe(60_000)
  })

  it('asks once and harmlessly where keepalive is off', () => {
    const off = { ...under(3_000), enable: false }
    const asking = {
      enable: true,
      initialDelay: 1_000,
      interval: 32_767_000,
      count: 127,
      userTimeout: 2 ** 31 - 1,
    }
    expect(whileAsking(off, 1, clock, 2_000)).toEqual(asking)
    expect(whileAsking({ ...off, userTimeout: 0 }, 1, clock, 2_000).userTimeout).toBe(0)
    expect(whileAsking({ ...off, userTimeout: undefined }, 1, clock, 2_000).userTimeout).toBeUndefined()
  })
})

describe('clockAfterStop', () => {
  const asking = whileAsking(own, 1, clock, 2_000)

  it('puts the next firing as far from the last as the own interval has it', () => {
    // It fired 1 s ago, and would next 5 s after that: 2 s after that it is to be.
    expect(clockAfterStop(clock, own, asking, 1, 8_000, 4_000)).toEqual({
      due: 5_000,
      initialDelay: 9_000,
      sent: 1,
    })
  })

  it('fires at once where that is over', () => {
    expect(clockAfterStop(clock, own, asking, 1, 10_500, 1_500).initialDelay).toBe(11_000)
    expect(clockAfterStop(clock, own, asking, 1, 11_000, 1_000).initialDelay).toBe(11_000)
  })

  it('leaves the timer alone where it is not told when it fires', () => {
    expect(clockAfterStop(clock, own, asking, 2, 8_000, undefined)).toEqual({
      due: 5_000,
      initialDelay: 1_000,
      sent: 2,
    })
  })
})
