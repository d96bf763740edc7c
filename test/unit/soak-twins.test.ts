import { describe, expect, it } from 'vitest'
import { type Entry, judge } from '../soak/judge.mjs'
import { isTossUp, judgePair, leastWait, nominalWait, type Pair, type Verdict } from '../soak/twins/judge.mjs'

// The judges of the soak: each fault that they are for is put to them once.

const lan = { enable: true, initialDelay: 3_000, interval: 1_000, count: 3, userTimeout: 6_000 }
const off = { ...lan, enable: false, userTimeout: 0 }

/** Ended after so much silence. */
const silentFor = (silence: number, code = 'ETIMEDOUT') => ({ at: silence, silence, noticedWithin: 0, code })

const quietPair: Pair = {
  profile: lan,
  every: 0,
  wroteAt: undefined,
  tested: undefined,
  twin: undefined,
  survived: 0,
  wasPending: false,
}

interface Row {
  readonly what: string
  readonly pair: Partial<Pair>
  readonly verdict: Verdict
}

describe('the judge of a connection beside an identical one', () => {
  it.each<Row>([
    { what: 'both live', pair: {}, verdict: { isCompared: false } },
    {
      what: 'both ended, within the slack of the timers',
      pair: { tested: silentFor(6_100), twin: silentFor(7_000) },
      verdict: { isCompared: true, lead: 900 },
    },
    {
      what: 'it ended a heartbeat later than its twin',
      pair: { every: 5_000, tested: silentFor(11_900), twin: silentFor(6_000) },
      verdict: { isCompared: true, lead: -5_900 },
    },
    {
      what: 'it ended when it was due, and its twin was heard again',
      pair: { tested: silentFor(6_000) },
      verdict: { isCompared: false },
    },
    {
      what: 'its twin ended, and it was heard again in time',
      pair: { twin: silentFor(6_000), survived: 6_900 },
      verdict: { isCompared: false },
    },
    {
      what: 'it ended too late, and inspect showed values as pending',
      pair: { tested: silentFor(9_000), twin: silentFor(6_000), wasPending: true },
      verdict: { isCompared: true, lead: -3_000, isExcused: true },
    },
    {
      what: 'both were written to, and are measured from then',
      pair: {
        wroteAt: 1_000,
        tested: { ...silentFor(9_000), at: 7_500 },
        twin: { ...silentFor(2_000), at: 7_400 },
      },
      verdict: { isCompared: true, lead: -100 },
    },
    {
      what: 'the observer was late with the end of the twin',
      pair: { tested: silentFor(6_100), twin: { ...silentFor(8_100), noticedWithin: 1_500 } },
      verdict: { isCompared: true, lead: 2_000 },
    },
    {
      what: 'Node read unread data and the end in one turn',
      pair: { tested: silentFor(6_100, 'EOF'), twin: silentFor(6_100) },
      verdict: { isCompared: true, lead: 0 },
    },
  ])('finds no fault where $what', ({ pair, verdict }) => {
    expect(judgePair({ ...quietPair, ...pair })).toEqual(verdict)
  })

  it.each<{ fault: string; what: string; pair: Partial<Pair> }>([
    {
      fault: 'ended before its twin',
      what: 'by more than the slack',
      pair: { tested: silentFor(5_000), twin: silentFor(6_100) },
    },
    { fault: 'ended although its twin lives', what: 'before it was due', pair: { tested: silentFor(5_900) } },
    {
      fault: 'ended although its twin lives',
      what: 'with keepalive off',
      pair: { profile: off, tested: silentFor(60_000) },
    },
    {
      fault: 'ended after its twin',
      what: 'without a heartbeat',
      pair: { tested: silentFor(7_100), twin: silentFor(6_000) },
    },
    {
      fault: 'ended after its twin',
      what: 'by more than a heartbeat',
      pair: { every: 2_000, tested: silentFor(9_100), twin: silentFor(6_000) },
    },
    {
      fault: 'outlived its twin',
      what: 'in the same silence',
      pair: { twin: silentFor(6_000), survived: 7_100 },
    },
    {
      fault: 'ended with ECONNRESET',
      what: 'and its twin too',
      pair: { tested: silentFor(6_000, 'ECONNRESET'), twin: silentFor(6_000) },
    },
    {
      fault: 'ended with nothing',
      what: 'which nobody reported',
      pair: { tested: silentFor(6_000, 'nothing'), twin: silentFor(6_000) },
    },
  ])('finds that it $fault, $what', ({ fault, pair }) => {
    expect(judgePair({ ...quietPair, ...pair }).fault).toBe(fault)
  })

  it('computes how long the kernel waits', () => {
    const short = { ...lan, userTimeout: 1_500 }
    expect([lan, short, off].map((profile) => leastWait(profile, false))).toEqual([
      6_000,
      4_000,
      Number.POSITIVE_INFINITY,
    ])
    expect(nominalWait({ ...lan, userTimeout: 5_500 }, false)).toBe(6_000)
    expect([lan, { ...lan, userTimeout: 0 }].map((profile) => leastWait(profile, true))).toEqual([
      6_000,
      Number.POSITIVE_INFINITY,
    ])
  })

  it('recognises profiles with which a late timer changes the number of probes before the kernel gives up', () => {
    expect([lan, { ...lan, userTimeout: 5_100 }, { ...lan, userTimeout: 0 }].map(isTossUp)).toEqual([
      false,
      true,
      false,
    ])
  })
})

describe('the judge of heartbeats of different lengths', () => {
  const entry = (at: number, event: string, detail: string): Entry => ({ at, id: '1.0', event, detail })
  const found = (kind: string, every: number, tookMs: number) =>
    judge([
      entry(0, 'accepted', `${kind} ${every}`),
      entry(1_000, 'fate', 'silent'),
      entry(1_000 + tookMs, 'dead', 'heartbeat heartbeat'),
    ]).faults.map(({ fault }) => fault)

  it.each([
    { kind: 'beating', every: 2_000, bound: 4_820 },
    { kind: 'beating', every: 16_000, bound: 18_820 },
    { kind: 'quiet', every: 2_000, bound: 5_370 },
    { kind: 'bare', every: 16_000, bound: 21_120 },
  ])('finds a death late after $bound ms for $kind with every $every ms', ({ kind, every, bound }) => {
    expect(found(kind, every, bound)).toEqual([])
    expect(found(kind, every, bound + 1)).toEqual(['late'])
  })
})
