import { describe, expect, it } from 'vitest'
import { growth } from '../soak/flat.mjs'
import { type Entry, judge } from '../soak/judge.mjs'

// The soak is as good as its judge: each thing that may go wrong is put to it once.

type Line = [at: number, event: string, detail?: string]

/** What is said of one connection, on the server that goes by the kernel's clock. */
function judged(...lines: Line[]) {
  return judge([
    entry(0, '1.0', 'accepted', 'clocked'),
    ...lines.map(([at, ...rest]) => entry(at, '1.0', ...rest)),
  ])
}

function entry(at: number, id: string, event: string, detail = ''): Entry {
  return { at, id, event, detail }
}

const faultsOf = (...lines: Line[]) => judged(...lines).faults.map(({ fault }) => fault)

describe('what was said of a connection', () => {
  it.each<[string, ...Line[]]>([
    ['a death', [1_000, 'fate', 'silent'], [8_000, 'dead', 'keepalive kernel']],
    ['a reset', [1_000, 'fate', 'reset'], [1_001, 'dead', 'reset node']],
    ['a half-close', [1_000, 'fate', 'half-close'], [1_001, 'closing'], [2_000, 'closed']],
    [
      'a half-close and a death',
      [700, 'half-closed'],
      [702, 'closing'],
      [1_000, 'fate', 'half-close, silent'],
      [8_000, 'dead', 'keepalive kernel'],
    ],
    [
      'a death with data in flight',
      [1_000, 'fate', 'silent in flight'],
      [4_000, 'wrote'],
      [13_000, 'dead', 'user-timeout kernel'],
    ],
    [
      'a death that the write met',
      [1_000, 'fate', 'silent in flight'],
      [8_990, 'wrote'],
      [9_000, 'dead', 'keepalive node'],
    ],
    [
      'a death before there was any',
      [1_000, 'fate', 'silent in flight'],
      [8_000, 'dead', 'keepalive kernel'],
    ],
    ['an end of our own', [1_000, 'fate', 'ours'], [1_001, 'closed']],
    ['doubts that end', [1_000, 'suspect'], [2_000, 'recover'], [3_000, 'suspect'], [3_500, 'recover']],
    ['nothing'],
  ])('%s is right', (_, ...lines) => {
    expect(faultsOf(...lines)).toEqual([])
  })

  it.each<[string, ...Line[]]>([
    ['lost death', [1_000, 'fate', 'silent']],
    ['lost death', [1_000, 'fate', 'reset'], [1_001, 'closed']],
    ['lost closing', [1_000, 'fate', 'half-close'], [1_001, 'closed']],
    ['false death', [1_000, 'dead', 'keepalive kernel']],
    ['false death', [1_000, 'dead', 'keepalive kernel'], [2_000, 'fate', 'silent']],
    ['false death', [1_000, 'fate', 'ours'], [1_001, 'dead', 'reset node']],
    ['false death', [1_000, 'fate', 'removed'], [1_001, 'dead', 'reset node']],
    ['false closing', [1_000, 'closing']],
    ['false closing', [1_000, 'fate', 'reset'], [1_001, 'closing'], [1_002, 'dead', 'reset node']],
    ['closed by nobody', [1_000, 'closed']],
    ['said twice', [1_000, 'fate', 'reset'], [1_001, 'dead', 'reset node'], [1_002, 'dead', 'reset kernel']],
    ['wrong reason', [1_000, 'fate', 'silent'], [8_000, 'dead', 'user-timeout kernel']],
    [
      'wrong reason',
      [1_000, 'fate', 'silent in flight'],
      [1_500, 'wrote'],
      [8_000, 'dead', 'keepalive kernel'],
    ],
    // Nothing was in flight when it fell silent.
    [
      'wrong reason',
      [900, 'wrote'],
      [1_000, 'fate', 'silent in flight'],
      [8_000, 'dead', 'user-timeout kernel'],
    ],
    ['late', [1_000, 'fate', 'silent'], [12_000, 'dead', 'keepalive kernel']],
    ['late', [1_000, 'fate', 'reset'], [3_000, 'dead', 'reset node']],
    ['doubts out of order', [1_000, 'recover']],
    ['doubts out of order', [1_000, 'suspect'], [2_000, 'suspect']],
  ])('a %s is found', (fault, ...lines) => {
    expect(faultsOf(...lines)).toEqual([fault])
  })

  it('may be said as much later as there was no processor', () => {
    const lines: Line[] = [
      [1_000, 'fate', 'reset'],
      [3_000, 'dead', 'reset node'],
    ]
    const starved = (at: number, ms: string) =>
      judge([
        entry(0, '1.0', 'accepted', 'clocked'),
        ...lines.map(([at, ...rest]) => entry(at, '1.0', ...rest)),
        entry(at, '*', 'starved', ms),
      ])
    expect(starved(2_900, '600')).toMatchObject({ faults: [], delayed: 1 })
    expect(starved(2_900, '400')).toMatchObject({ faults: [{ fault: 'late' }], delayed: 0 })
    expect(starved(900, '600')).toMatchObject({ faults: [{ fault: 'late' }], delayed: 0 })
    expect(starved(4_000, '600')).toMatchObject({ faults: [{ fault: 'late' }], delayed: 0 })
  })

  it('is judged by what its process came to, where that was killed', () => {
    const killed = (...said: Entry[]) =>
      judge([entry(0, '1.0', 'accepted', 'beating'), entry(1_000, '1', 'killed'), ...said]).faults
    expect(killed(entry(1_010, '1.0', 'closing'), entry(1_020, '1.0', 'closed'))).toEqual([])
    expect(killed(entry(1_010, '1.0', 'dead', 'reset node'))).toEqual([])
    expect(killed()).toMatchObject([{ fault: 'lost death', fate: 'killed' }])
    // Of another process whose number begins with the same digit.
    const other = [entry(0, '10.0', 'accepted', 'beating'), entry(1_000, '1', 'killed')]
    expect(judge(other).faults).toEqual([])
  })

  it('is nothing to go by where nobody knows which it was', () => {
    expect(judge([entry(0, '?', 'dead', 'reset node')]).faults).toMatchObject([{ fault: 'unknown' }])
    expect(judge([entry(0, '1.0', 'fate', 'reset')]).faults).toMatchObject([{ fault: 'unknown' }])
  })

  it('is not judged where more was swallowed than was meant', () => {
    const lines: Line[] = [
      [1_000, 'deaf'],
      [4_000, 'swallowed', '4'],
      [4_100, 'dead', 'keepalive kernel'],
    ]
    expect(judged(...lines)).toMatchObject({ excused: 1, faults: [] })
    lines[1] = [4_000, 'swallowed', '3']
    expect(judged(...lines)).toMatchObject({ excused: 0, faults: [{ fault: 'false death' }] })
    // By the machine, meanwhile.
    const dropped = (at: number) =>
      judge([
        entry(0, '1.0', 'accepted', 'clocked'),
        ...lines.map(([at, ...rest]) => entry(at, '1.0', ...rest)),
        entry(at, '*', 'dropped', '7'),
      ])
    expect(dropped(4_050)).toMatchObject({ excused: 1, faults: [] })
    expect(dropped(4_200)).toMatchObject({ excused: 0, faults: [{ fault: 'false death' }] })
  })

  it('does not matter once it is over', () => {
    const lines: Line[] = [[2_000, 'closed']]
    expect(
      judge([
        entry(0, '1.0', 'accepted', 'clocked'),
        entry(1_000, '*', 'finished'),
        ...lines.map(([at, event]) => entry(at, '1.0', event)),
      ]).faults,
    ).toEqual([])
  })

  it('counts doubts about who hears', () => {
    const doubts = (...lines: Line[]) => judged(...lines).doubts
    expect(doubts([1_000, 'suspect'], [2_000, 'recover'])).toEqual({ suspect: 1, ofHealthy: 1 })
    expect(doubts([500, 'deaf'], [1_000, 'suspect'], [2_000, 'swallowed', '2'], [2_100, 'recover'])).toEqual({
      suspect: 1,
      ofHealthy: 0,
    })
  })
})

describe('what may grow', () => {
  const samples = (heap: (at: number) => number) =>
    Array.from({ length: 61 }, (_, i) => ({
      at: 10 * i,
      heap: heap(10 * i),
      external: 2 ** 24,
      rss: 2 ** 28,
      others: 25,
    }))
  const heapOf = (heap: (at: number) => number) => growth(samples(heap)).find(({ key }) => key === 'heap')!

  it('swings', () => {
    const { grownBy, allowed } = heapOf((at) => 100e6 + 2e6 * Math.sin(at))
    expect(grownBy).toBeLessThan(allowed)
  })

  it('does not add up', () => {
    // 150 connections a second, 100 bytes each.
    const { grownBy, allowed } = heapOf((at) => 100e6 + 15_000 * at)
    expect(grownBy).toBeGreaterThan(allowed)
  })

  it('grows while it warms up', () => {
    const { grownBy } = heapOf((at) => 100e6 * Math.min(1, at / 20))
    expect(grownBy).toBe(0)
  })
})
