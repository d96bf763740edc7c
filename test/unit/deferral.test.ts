import { describe, expect, it } from 'vitest'
import type { TcpInfo } from '../../src/kernel/tcp-info.js'
import { deferral, fires } from '../../src/overlay/deferral.js'

/** An established connection whose peer was heard `silence` ms ago. */
function state(silence: number, more: Partial<TcpInfo> = {}): TcpInfo {
  return {
    state: 1,
    retransmits: 0,
    probes: 0,
    backoff: 0,
    lastDataSent: silence,
    lastDataRecv: silence,
    lastAckRecv: silence,
    ...more,
  } as TcpInfo
}

const system = { enable: false, initialDelay: 7_200_000, interval: 75_000, count: 9, userTimeout: 0 }
const wanted = { enable: true, initialDelay: 2_000, interval: 1_000, count: 3, userTimeout: 5_000 }

describe('deferral', () => {
  it('defers nothing if the peer was just heard', () => {
    expect(deferral(wanted, system, state(100))).toEqual({ now: wanted, later: {} })
  })

  it('defers a userTimeout that has already passed', () => {
    const { now, later } = deferral(wanted, system, state(7_000))
    expect(now).toEqual({ ...wanted, userTimeout: 0 })
    expect(later).toEqual({ userTimeout: 5_000 })
  })

  it('defers a userTimeout that would leave fewer probes than the settings promise', () => {
    expect(deferral(wanted, system, state(3_500)).later).toEqual({ userTimeout: 5_000 })
    expect(deferral(wanted, system, state(2_000)).later).toEqual({})
  })

  it('sets userTimeout to 0 meanwhile if a probe would be sent after it has passed', () => {
    const { now, later } = deferral(
      { initialDelay: 2_000 },
      { ...system, enable: true, interval: 1_000, userTimeout: 5_000 },
      state(7_000),
    )
    expect(now.userTimeout).toBe(0)
    expect(later).toEqual({ userTimeout: 5_000 })
  })

  it('adds a whole initialDelay to the silence if only keepalive is switched on', () => {
    const off = { ...system, initialDelay: 2_000, interval: 1_000, userTimeout: 5_000 }
    expect(deferral({ enable: true }, off, state(1_500)).later).toEqual({ userTimeout: 5_000 })
    expect(deferral({ enable: true }, off, state(0)).later).toEqual({})
  })

  it('adds the unacknowledged probes to a count that they have already reached', () => {
    const { now, later } = deferral(
      { count: 3 },
      { ...system, enable: true },
      state(9_000_000, { probes: 5 }),
    )
    expect(now.count).toBe(8)
    expect(later).toEqual({ count: 3 })
  })

  it('raises the count of the socket while it defers the userTimeout that made the kernel ignore count', () => {
    const current = { enable: true, initialDelay: 2_000, interval: 1_000, count: 3, userTimeout: 60_000 }
    const { now, later } = deferral({ userTimeout: 5_000 }, current, state(12_000, { probes: 10 }))
    expect(now).toEqual({ userTimeout: 0, count: 13 })
    expect(later).toEqual({ userTimeout: 5_000, count: 3 })
  })

  it('never sets a count above 127, the most that the kernel accepts', () => {
    expect(deferral({ count: 100 }, { ...system, enable: true }, state(1, { probes: 120 })).now.count).toBe(
      127,
    )
  })

  describe('a retransmission', () => {
    // The timeout has doubled to 6.4 s, so the earlier ones add up to less than that. 1.5 s of this one have passed.
    const doubling = { retransmits: 5, backoff: 5, rto: 6_400_000, lastDataSent: 1_500 }

    it.each([
      ['silent', 8_000],
      ['still heard, because only one direction is cut', 500],
    ])('that may have lasted longer defers the userTimeout: peer %s', (_, silence) => {
      const { now, later } = deferral({ userTimeout: 5_000 }, system, state(silence, doubling))
      expect(now).toEqual({ userTimeout: 0 })
      expect(later).toEqual({ userTimeout: 5_000 })
    })

    it("leaves the socket's previous userTimeout in force", () => {
      const own = { ...system, userTimeout: 10_000 }
      expect(deferral({ userTimeout: 5_000 }, own, state(1, doubling)).now).toEqual({ userTimeout: 10_000 })
    })

    it('defers nothing if it cannot have lasted as long as userTimeout', () => {
      expect(deferral({ userTimeout: 7_900 }, system, state(8_000, doubling)).later).toEqual({
        userTimeout: 7_900,
      })
      expect(deferral({ userTimeout: 7_901 }, system, state(8_000, doubling)).later).toEqual({})
    })

    it('is counted with each timeout if its timeouts stop doubling at rtoMax', () => {
      const atMost = { ...doubling, rto: 1_000_000 }
      const capped = { ...system, rtoMax: 1_000 }
      expect(deferral({ userTimeout: 6_000 }, capped, state(1, atMost)).later).toEqual({ userTimeout: 6_000 })
      expect(deferral({ userTimeout: 7_000 }, capped, state(1, atMost)).later).toEqual({})
    })

    it('of a SYN defers the userTimeout as well', () => {
      const connecting = state(0, {
        state: 2,
        retransmits: 3,
        backoff: 0,
        rto: 1_000_000,
        lastDataSent: 9_000_000,
      })
      expect(deferral({ userTimeout: 4_000 }, system, connecting).later).toEqual({ userTimeout: 4_000 })
      expect(deferral({ userTimeout: 4_001 }, system, connecting).later).toEqual({})
    })
  })

  it('defers a userTimeout if the window has been closed for longer, although the peer acknowledges', () => {
    const stalled = state(200, { backoff: 4, lastDataSent: 10_000 })
    expect(deferral({ userTimeout: 5_000 }, system, stalled).later).toEqual({ userTimeout: 5_000 })
  })

  it('defers nothing if keepalive is off or is switched off', () => {
    expect(deferral({ enable: false, userTimeout: 5_000 }, system, state(9_000)).later).toEqual({})
    expect(deferral({ userTimeout: 5_000 }, system, state(9_000)).later).toEqual({})
  })
})

describe('fires', () => {
  it('is true if keepalive is on and initialDelay is set to at most the current idle time', () => {
    expect(fires({ initialDelay: 2_000 }, { enable: true }, state(2_000))).toBe(true)
    expect(fires({ initialDelay: 2_000, enable: true }, { enable: false }, state(9_000))).toBe(true)
    expect(fires({ initialDelay: 2_000 }, { enable: true }, state(1_999))).toBe(false)
    expect(fires({ initialDelay: 2_000 }, { enable: false }, state(9_000))).toBe(false)
    expect(fires({ interval: 2_000 }, { enable: true }, state(9_000))).toBe(false)
  })
})
