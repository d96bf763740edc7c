import { describe, expect, it } from 'vitest'
import type { Keepalive } from '../../src/kernel/liveness.js'
import { clockAfter, clockAfterStop, clockFrom, type KeepaliveClock } from '../../src/overlay/clock.js'
import { whileBeating, whileFiring, whileUnanswered } from '../../src/overlay/plan.js'

const own: Keepalive = { enable: true, initialDelay: 5_000, interval: 2_000, count: 3, userTimeout: 0 }
const under = (userTimeout: number): Keepalive => ({ ...own, count: 9, userTimeout })
const clock = clockFrom(own)

// probe-never-harms.test.ts shows that a connection with these options ends when one without a probe does.

describe('whileUnanswered', () => {
  it("returns the connection's own options if no probe of deadpeer is unacknowledged", () => {
    expect(whileUnanswered(own, 0, clock)).toEqual(own)
    expect(whileUnanswered(under(3_000), 0, clock)).toEqual(under(3_000))
  })

  it('adds the unacknowledged probes of deadpeer to count', () => {
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

  it('keeps a userTimeout that ends the connection at the next firing if the kernel has already probed', () => {
    const late: KeepaliveClock = { due: 9_000, initialDelay: 9_000, sent: 2 }
    expect(whileUnanswered(under(9_000), 1, late).userTimeout).toBe(9_000)
    expect(whileUnanswered(under(9_500), 1, late).userTimeout).toBe(11_000)
  })

  it('sets a userTimeout if count would exceed 127, or the highest count if the socket has no userTimeout', () => {
    const most = { ...own, count: 126 }
    expect(whileUnanswered(most, 1, clock)).toEqual({ ...most, count: 127 })
    expect(whileUnanswered(most, 2, clock)).toEqual({ ...most, userTimeout: 5_000 + 126 * 2_000 })
    const mptcp = { ...most, userTimeout: undefined }
    expect(whileUnanswered(mptcp, 2, clock)).toEqual({ ...mptcp, count: 127 })
  })

  it('sets initialDelay by the clock of the connection, and changes nothing if keepalive is off', () => {
    const late: KeepaliveClock = { due: 7_400, initialDelay: 8_000, sent: 0 }
    expect(whileUnanswered(own, 1, late)).toEqual({ ...own, initialDelay: 8_000, count: 4 })
    const off = { ...own, enable: false }
    expect(whileUnanswered(off, 3, clock)).toEqual(off)
  })
})

describe('whileFiring', () => {
  it("sends a probe at once, and the next when the connection's own timer is due", () => {
    expect(whileFiring(own, 1, clock, 2_000)).toEqual({
      ...own,
      initialDelay: 1_000,
      interval: 5_000,
      count: 4,
    })
    const late: KeepaliveClock = { due: 9_500, initialDelay: 10_000, sent: 0 }
    expect(whileFiring(own, 1, late, 2_300).interval).toBe(8_000)
    const long = { ...own, interval: 60_000 }
    expect(whileFiring(long, 1, clock, 2_000).interval).toBe(60_000)
  })

  it('probes once if keepalive is off, with a count and a userTimeout that cannot end the connection', () => {
    const off = { ...under(3_000), enable: false }
    const asking = {
      enable: true,
      initialDelay: 1_000,
      interval: 32_767_000,
      count: 127,
      userTimeout: 2 ** 31 - 1,
    }
    expect(whileFiring(off, 1, clock, 2_000)).toEqual(asking)
    expect(whileFiring({ ...off, userTimeout: 0 }, 1, clock, 2_000).userTimeout).toBe(0)
    expect(whileFiring({ ...off, userTimeout: undefined }, 1, clock, 2_000).userTimeout).toBeUndefined()
  })
})

describe('clockAfterStop', () => {
  const asking = whileFiring(own, 1, clock, 2_000)

  it('sets the next firing one own interval after the last', () => {
    // It fired 1 s ago and would fire again 5 s after that. It must fire 2 s after that.
    expect(clockAfterStop(clock, own, asking, 1, 8_000, 4_000)).toEqual({
      due: 5_000,
      initialDelay: 9_000,
      sent: 1,
    })
  })

  it('fires at once if that time has passed', () => {
    expect(clockAfterStop(clock, own, asking, 1, 10_500, 1_500).initialDelay).toBe(11_000)
    expect(clockAfterStop(clock, own, asking, 1, 11_000, 1_000).initialDelay).toBe(11_000)
  })

  it('leaves the timer alone if the kernel does not report when it fires', () => {
    expect(clockAfterStop(clock, own, asking, 2, 8_000, undefined)).toEqual({
      due: 5_000,
      initialDelay: 1_000,
      sent: 2,
    })
  })
})

describe('whileBeating', () => {
  const off: Keepalive = {
    enable: false,
    initialDelay: 7_200_000,
    interval: 75_000,
    count: 9,
    userTimeout: 0,
  }
  const idle: Keepalive = { enable: true, initialDelay: 30_000, interval: 10_000, count: 3, userTimeout: 0 }

  it.each<{ name: string; own: Keepalive; every: number; wanted: Partial<Keepalive> | undefined }>([
    {
      name: 'switches keepalive on, with the most probes that the kernel counts',
      own: off,
      every: 5_000,
      wanted: { enable: true, initialDelay: 5_000, interval: 5_000, count: 127, userTimeout: 0 },
    },
    {
      name: 'keeps the time of death of a connection without a userTimeout',
      own: idle,
      every: 5_000,
      wanted: { initialDelay: 5_000, interval: 5_000, count: 11, userTimeout: 0 },
    },
    {
      name: 'keeps an interval that is shorter than the heartbeat',
      own: { ...idle, interval: 2_000 },
      every: 5_000,
      wanted: { initialDelay: 5_000, interval: 2_000, count: 16 },
    },
    {
      name: 'leaves the userTimeout and the count of a preset as they are',
      own: { ...idle, userTimeout: 60_000 },
      every: 5_000,
      wanted: { initialDelay: 5_000, interval: 5_000, count: 3, userTimeout: 60_000 },
    },
    {
      name: 'does nothing if the kernel probes as often by itself',
      own: { ...idle, initialDelay: 5_000 },
      every: 5_000,
      wanted: undefined,
    },
    {
      name: 'does nothing if a userTimeout would end the connection at an earlier firing',
      own: { ...idle, userTimeout: 32_000 },
      every: 5_000,
      wanted: undefined,
    },
    {
      name: 'does nothing if a late firing could meet a userTimeout too early',
      own: { ...idle, userTimeout: 56_000 },
      every: 5_000,
      wanted: undefined,
    },
    {
      name: 'does nothing if the count would be more than the kernel holds',
      own: { ...idle, initialDelay: 3_600_000, count: 9 },
      every: 5_000,
      wanted: undefined,
    },
    {
      name: 'does nothing for a userTimeout without keepalive',
      own: { ...off, userTimeout: 30_000 },
      every: 5_000,
      wanted: undefined,
    },
    {
      name: 'does nothing for MPTCP, which has no userTimeout',
      own: { ...off, userTimeout: undefined },
      every: 5_000,
      wanted: undefined,
    },
  ])('$name', ({ own, every, wanted }) => {
    expect(whileBeating(own, every)).toEqual(wanted && { ...own, ...wanted })
  })
})

describe('clockAfter', () => {
  it('counts the probes that were due during the silence', () => {
    expect(clockAfter(own, 4_999)).toEqual(clock)
    expect(clockAfter(own, 5_000)).toEqual({ due: 7_000, initialDelay: 7_000, sent: 1 })
    expect(clockAfter(own, 9_500)).toEqual({ due: 11_000, initialDelay: 11_000, sent: 3 })
  })
})
