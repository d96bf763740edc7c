import { describe, expect, it } from 'vitest'
import type { TcpInfo } from '../../src/kernel/tcp-info.js'
import { fires, holdBack } from '../../src/socket/hold-back.js'

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

describe('holdBack', () => {
  it('holds nothing back from a connection that was just heard', () => {
    expect(holdBack(wanted, system, state(100))).toEqual({ now: wanted, later: {} })
  })

  it('holds a userTimeout that has passed already', () => {
    const { now, later } = holdBack(wanted, system, state(7_000))
    expect(now).toEqual({ ...wanted, userTimeout: 0 })
    expect(later).toEqual({ userTimeout: 5_000 })
  })

  it('holds one that would leave fewer probes than the settings promise', () => {
    expect(holdBack(wanted, system, state(3_500)).later).toEqual({ userTimeout: 5_000 })
    expect(holdBack(wanted, system, state(2_000)).later).toEqual({})
  })

  it('lifts the userTimeout that the socket has, where a probe fires under it', () => {
    const { now, later } = holdBack(
      { initialDelay: 2_000 },
      { ...system, enable: true, interval: 1_000, userTimeout: 5_000 },
      state(7_000),
    )
    expect(now.userTimeout).toBe(0)
    expect(later).toEqual({ userTimeout: 5_000 })
  })

  it('counts a whole initialDelay on top where keepalive is switched on alone', () => {
    const off = { ...system, initialDelay: 2_000, interval: 1_000, userTimeout: 5_000 }
    expect(holdBack({ enable: true }, off, state(1_500)).later).toEqual({ userTimeout: 5_000 })
    expect(holdBack({ enable: true }, off, state(0)).later).toEqual({})
  })

  it('gives a connection that has as many probes unanswered as count is as many again', () => {
    const { now, later } = holdBack(
      { count: 3 },
      { ...system, enable: true },
      state(9_000_000, { probes: 5 }),
    )
    expect(now.count).toBe(8)
    expect(later).toEqual({ count: 3 })
  })

  it('raises the count that the socket has, where the userTimeout that made it moot is lifted', () => {
    const current = { enable: true, initialDelay: 2_000, interval: 1_000, count: 3, userTimeout: 60_000 }
    const { now, later } = holdBack({ userTimeout: 5_000 }, current, state(12_000, { probes: 10 }))
    expect(now).toEqual({ userTimeout: 0, count: 13 })
    expect(later).toEqual({ userTimeout: 5_000, count: 3 })
  })

  it('never asks for a count that the kernel does not have', () => {
    expect(holdBack({ count: 100 }, { ...system, enable: true }, state(1, { probes: 120 })).now.count).toBe(
      127,
    )
  })

  it('holds a userTimeout from a retransmission that has lasted longer', () => {
    const { now, later } = holdBack(
      { userTimeout: 5_000 },
      system,
      state(8_000, { retransmits: 5, backoff: 5, lastDataSent: 2_000 }),
    )
    expect(now).toEqual({ userTimeout: 0 })
    expect(later).toEqual({ userTimeout: 5_000 })
    expect(holdBack({ userTimeout: 9_000 }, system, state(8_000, { retransmits: 5 })).later).toEqual({})
  })

  it('holds a userTimeout from a window that has been closed for longer, though the peer answers', () => {
    const stalled = state(200, { backoff: 4, lastDataSent: 10_000 })
    expect(holdBack({ userTimeout: 5_000 }, system, stalled).later).toEqual({ userTimeout: 5_000 })
  })

  it('has nothing to fear where keepalive is off or is switched off', () => {
    expect(holdBack({ enable: false, userTimeout: 5_000 }, system, state(9_000)).later).toEqual({})
    expect(holdBack({ userTimeout: 5_000 }, system, state(9_000)).later).toEqual({})
  })
})

describe('fires', () => {
  it('is true where initialDelay is written to a connection silent for as long', () => {
    expect(fires({ initialDelay: 2_000 }, { enable: true }, state(2_000))).toBe(true)
    expect(fires({ initialDelay: 2_000, enable: true }, { enable: false }, state(9_000))).toBe(true)
    expect(fires({ initialDelay: 2_000 }, { enable: true }, state(1_999))).toBe(false)
    expect(fires({ initialDelay: 2_000 }, { enable: false }, state(9_000))).toBe(false)
    expect(fires({ interval: 2_000 }, { enable: true }, state(9_000))).toBe(false)
  })
})
