import { describe, expect, it } from 'vitest'
import { diffCounters } from '../../src/kernel/counter-rates.js'
import type { Counters } from '../../src/kernel/counters.js'
import { livenessCounters } from '../../src/kernel/liveness-counters.js'

const at = (time: number, groups: Partial<Counters>): Counters => ({ Tcp: {}, TcpExt: {}, ...groups, time })

describe('diffCounters', () => {
  it('gives rates per second', () => {
    const before = at(1_000, { Tcp: { OutRsts: 10 }, TcpExt: { TCPKeepAlive: 100, TCPTimeouts: 5 } })
    const after = at(3_500, { Tcp: { OutRsts: 15 }, TcpExt: { TCPKeepAlive: 600, TCPTimeouts: 5 } })
    expect(diffCounters(before, after)).toEqual({
      elapsed: 2_500,
      Tcp: { OutRsts: 2 },
      TcpExt: { TCPKeepAlive: 200, TCPTimeouts: 0 },
    })
  })

  it('gives no rates of gauges', () => {
    const gauges = {
      Tcp: { CurrEstab: 5, RtoMin: 200, MaxConn: -1 },
      MPTcpExt: { MPCurrEstab: 1 },
      sockets: { used: 9 },
      TCP: { inuse: 4 },
      TCP6: { inuse: 4 },
    }
    expect(diffCounters(at(0, gauges), at(1_000, gauges))).toEqual({
      elapsed: 1_000,
      Tcp: {},
      TcpExt: {},
      MPTcpExt: {},
    })
  })

  it('gives no rate for a counter that went backwards, or that one reading lacks', () => {
    const before = at(0, { Tcp: { OutRsts: 10, InSegs: 1, Gone: 4 } })
    const after = at(1_000, { Tcp: { OutRsts: 9, InSegs: 3, New: 4 }, Udp: { NoPorts: 1 } })
    expect(diffCounters(before, after)).toMatchObject({ Tcp: { InSegs: 2 }, Udp: {} })
    expect(diffCounters(before, after).Tcp).not.toHaveProperty('OutRsts')
    expect(diffCounters(before, after).Tcp).not.toHaveProperty('New')
  })

  it('counts an ICMP type from 0 when the kernel first lists it', () => {
    const before = at(0, { Icmp6: { InMsgs: 0 } })
    const after = at(2_000, { IcmpMsg: { InType3: 4 }, Icmp6: { InMsgs: 2, InType1: 2, InErrors: 9 } })
    expect(diffCounters(before, after)).toMatchObject({
      IcmpMsg: { InType3: 2 },
      Icmp6: { InMsgs: 1, InType1: 1 },
    })
    expect(diffCounters(before, after).Icmp6).not.toHaveProperty('InErrors')
  })

  it.each([
    { what: 'the same reading twice', before: at(5, {}), after: at(5, {}), code: 'ERR_OUT_OF_RANGE' },
    { what: 'the wrong order', before: at(6, {}), after: at(5, {}), code: 'ERR_OUT_OF_RANGE' },
    { what: 'no reading', before: {}, after: at(5, {}), code: 'ERR_INVALID_ARG_TYPE' },
    { what: 'null', before: at(5, {}), after: null, code: 'ERR_INVALID_ARG_TYPE' },
    { what: 'no time', before: at(Number.NaN, {}), after: at(5, {}), code: 'ERR_INVALID_ARG_TYPE' },
  ])('refuses $what', ({ before, after, code }) => {
    expect(() => diffCounters(before as Counters, after as Counters)).toThrow(
      expect.objectContaining({ code }),
    )
  })
})

describe('livenessCounters', () => {
  it('has no number of established connections for rates', () => {
    const rates = diffCounters(
      at(0, { Tcp: { CurrEstab: 5, OutRsts: 0 } }),
      at(1_000, { Tcp: { CurrEstab: 6, OutRsts: 1 } }),
    )
    expect(livenessCounters(rates)).toMatchObject({ resetsSent: 1, established: undefined })
  })

  it('is undefined, never 0, for what this kernel does not count', () => {
    expect(new Set(Object.values(livenessCounters(at(0, {}))))).toEqual(new Set([undefined]))
  })
})
