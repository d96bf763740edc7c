import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { collectCounters } from '../../src/kernel/counters.js'
import { parseSnmp, parseSnmp6, parseSockstat, type Table } from '../../src/kernel/proc-net.js'

const plain = (table: Table) =>
  Object.fromEntries([...table].map(([group, counters]) => [group, Object.fromEntries(counters)]))

describe('parseSnmp', () => {
  it('pairs a line of names with the line of values', () => {
    const text = 'Tcp: RtoMin MaxConn OutRsts\nTcp: 200 -1 7\nUdp: NoPorts\nUdp: 3\n'
    expect(plain(parseSnmp(text))).toEqual({
      Tcp: { RtoMin: 200, MaxConn: -1, OutRsts: 7 },
      Udp: { NoPorts: 3 },
    })
  })

  it('joins a group that goes on in further lines, as IcmpMsg does', () => {
    const text = 'IcmpMsg: InType3 InType8\nIcmpMsg: 1 2\nIcmpMsg: OutType0\nIcmpMsg: 4\n'
    expect(plain(parseSnmp(text))).toEqual({ IcmpMsg: { InType3: 1, InType8: 2, OutType0: 4 } })
  })

  it('leaves out lines whose names and values do not match, and continues', () => {
    const text = 'A: x y\nA: 1\nB: x\nnoise\nC: z\nC: 1\nD: only\nE: q w\nE: 1 two\n'
    expect(plain(parseSnmp(text))).toEqual({ C: { z: 1 }, E: { q: 1 } })
  })

  it('reads 64 bits, and the sign of a sum that was below zero for a moment', () => {
    const text =
      'IpExt: InOctets OutOctets Moment\nIpExt: 9007199254740993 4611686018427387904 18446744073709551615\n'
    expect(plain(parseSnmp(text))).toEqual({
      IpExt: { InOctets: 2 ** 53, OutOctets: 2 ** 62, Moment: -1 },
    })
  })
})

describe('parseSnmp6', () => {
  it('splits the group off', () => {
    const text =
      'Ip6InReceives                   \t5837\nIcmp6OutType135                 \t4\nUdpLite6MemErrors\t0\n'
    expect(plain(parseSnmp6(text))).toEqual({
      Ip6: { InReceives: 5837 },
      Icmp6: { OutType135: 4 },
      UdpLite6: { MemErrors: 0 },
    })
  })
})

describe('parseSockstat', () => {
  it('reads alternating names and values', () => {
    expect(plain(parseSockstat('sockets: used 18\nTCP: inuse 5 orphan 0 mem 310\nFRAG: inuse\n'))).toEqual({
      sockets: { used: 18 },
      TCP: { inuse: 5, orphan: 0, mem: 310 },
    })
  })
})

describe('collectCounters', () => {
  const snmp = 'Tcp: OutRsts\nTcp: 7\n'

  it('works without files that the kernel does not have', () => {
    expect(collectCounters((file) => (file === 'snmp' ? snmp : undefined), 12.5)).toEqual({
      Tcp: { OutRsts: 7 },
      TcpExt: {},
      time: 12.5,
    })
  })

  it('is undefined if the process ended meanwhile', () => {
    expect(collectCounters((file) => (file === 'snmp' ? undefined : ''), 0)).toBeUndefined()
  })

  it('ignores group names that would overwrite its time or its prototype', () => {
    const hostile = 'time: a\ntime: 1\n__proto__: Tcp\n__proto__: 1\nconstructor: __proto__\nconstructor: 2\n'
    const counters = collectCounters((file) => (file === 'snmp' ? snmp + hostile : undefined), 5)!
    expect(counters.time).toBe(5)
    expect(Object.getPrototypeOf(counters)).toBe(Object.prototype)
    expect(({} as Record<string, unknown>).Tcp).toBeUndefined()
  })
})

describe('a parser of any text', () => {
  const words = fc.constantFrom(
    'Tcp:',
    'TcpExt:',
    'Ip6InReceives',
    'inuse',
    '__proto__:',
    ':',
    '',
    '\t',
    '-1',
    '007',
    'NaN',
  )
  const word = fc.oneof(
    words,
    fc.string({ maxLength: 8 }),
    fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
    fc.string({ unit: 'binary', maxLength: 8 }),
  )
  const line = fc.array(word, { maxLength: 6 }).map((parts) => parts.join(' '))
  const text = fc.array(line, { maxLength: 6 }).map((lines) => lines.join('\n'))

  it.each(Object.entries({ parseSnmp, parseSnmp6, parseSockstat }).map(([name, parse]) => ({ name, parse })))(
    'does not throw, and returns only whole numbers of 64 bits: $name',
    ({ parse }) => {
      fc.assert(
        fc.property(text, (any) => {
          for (const counters of parse(any).values()) {
            for (const value of counters.values()) {
              if (!Number.isInteger(value) || Math.abs(value) > 2 ** 63) throw new Error(`${value}`)
            }
          }
        }),
        { numRuns: 20_000 },
      )
    },
  )

  const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,7}$/)
  const value = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  const entries = fc.uniqueArray(fc.tuple(name, value), {
    minLength: 1,
    maxLength: 6,
    selector: ([key]) => key,
  })
  const groups = fc.uniqueArray(fc.tuple(name, entries), { maxLength: 4, selector: ([key]) => key })
  const expected = (all: [string, [string, bigint][]][]) =>
    new Map(all.map(([group, pairs]) => [group, new Map(pairs.map(([key, n]) => [key, Number(n)]))]))

  it('reads back what was written in the format', () => {
    fc.assert(
      fc.property(groups, (all) => {
        const snmp = all.map(
          ([group, pairs]) =>
            `${group}: ${pairs.map(([key]) => key).join(' ')}\n${group}: ${pairs.map(([, n]) => n).join(' ')}\n`,
        )
        expect(parseSnmp(snmp.join(''))).toEqual(expected(all))
        const sockstat = all.map(([group, pairs]) => `${group}: ${pairs.flat().join(' ')}\n`)
        expect(parseSockstat(sockstat.join(''))).toEqual(expected(all))
      }),
      { numRuns: 10_000 },
    )
  })
})
