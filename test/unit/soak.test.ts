import { describe, expect, it } from 'vitest'
import { growth } from '../soak/flat.mjs'
import { type Entry, judge } from '../soak/judge.mjs'
import { errorsOf, judgeTls } from '../soak/tls-judge.mjs'

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

describe('the judge of a connection', () => {
  it.each<{ what: string; lines: Line[] }>([
    {
      what: 'a death',
      lines: [
        [1_000, 'fate', 'silent'],
        [8_000, 'dead', 'keepalive kernel'],
      ],
    },
    {
      what: 'a reset',
      lines: [
        [1_000, 'fate', 'reset'],
        [1_001, 'dead', 'reset node'],
      ],
    },
    {
      what: 'a half-close',
      lines: [
        [1_000, 'fate', 'half-close'],
        [1_001, 'closing'],
        [2_000, 'closed'],
      ],
    },
    {
      what: 'a half-close and a death',
      lines: [
        [700, 'half-closed'],
        [702, 'closing'],
        [1_000, 'fate', 'half-close, silent'],
        [8_000, 'dead', 'keepalive kernel'],
      ],
    },
    {
      what: 'a death with data in flight',
      lines: [
        [1_000, 'fate', 'silent in flight'],
        [4_000, 'wrote'],
        [13_000, 'dead', 'user-timeout kernel'],
      ],
    },
    {
      what: 'a death that the write met',
      lines: [
        [1_000, 'fate', 'silent in flight'],
        [8_990, 'wrote'],
        [9_000, 'dead', 'keepalive node'],
      ],
    },
    {
      what: 'a death before there was any',
      lines: [
        [1_000, 'fate', 'silent in flight'],
        [8_000, 'dead', 'keepalive kernel'],
      ],
    },
    {
      what: 'an end of our own',
      lines: [
        [1_000, 'fate', 'ours'],
        [1_001, 'closed'],
      ],
    },
    {
      what: 'doubts that end',
      lines: [
        [1_000, 'suspect'],
        [2_000, 'recover'],
        [3_000, 'suspect'],
        [3_500, 'recover'],
      ],
    },
    { what: 'nothing', lines: [] },
  ])('accepts $what', ({ lines }) => {
    expect(faultsOf(...lines)).toEqual([])
  })

  it.each<{ fault: string; lines: Line[] }>([
    { fault: 'lost death', lines: [[1_000, 'fate', 'silent']] },
    {
      fault: 'lost death',
      lines: [
        [1_000, 'fate', 'reset'],
        [1_001, 'closed'],
      ],
    },
    {
      fault: 'lost closing',
      lines: [
        [1_000, 'fate', 'half-close'],
        [1_001, 'closed'],
      ],
    },
    { fault: 'false death', lines: [[1_000, 'dead', 'keepalive kernel']] },
    {
      fault: 'false death',
      lines: [
        [1_000, 'dead', 'keepalive kernel'],
        [2_000, 'fate', 'silent'],
      ],
    },
    {
      fault: 'false death',
      lines: [
        [1_000, 'fate', 'ours'],
        [1_001, 'dead', 'reset node'],
      ],
    },
    {
      fault: 'false death',
      lines: [
        [1_000, 'fate', 'removed'],
        [1_001, 'dead', 'reset node'],
      ],
    },
    { fault: 'false closing', lines: [[1_000, 'closing']] },
    {
      fault: 'false closing',
      lines: [
        [1_000, 'fate', 'reset'],
        [1_001, 'closing'],
        [1_002, 'dead', 'reset node'],
      ],
    },
    { fault: 'closed by nobody', lines: [[1_000, 'closed']] },
    {
      fault: 'said twice',
      lines: [
        [1_000, 'fate', 'reset'],
        [1_001, 'dead', 'reset node'],
        [1_002, 'dead', 'reset kernel'],
      ],
    },
    {
      fault: 'wrong reason',
      lines: [
        [1_000, 'fate', 'silent'],
        [8_000, 'dead', 'user-timeout kernel'],
      ],
    },
    {
      fault: 'wrong reason',
      lines: [
        [1_000, 'fate', 'silent in flight'],
        [1_500, 'wrote'],
        [8_000, 'dead', 'keepalive kernel'],
      ],
    },
    // Nothing was in flight when it fell silent.
    {
      fault: 'wrong reason',
      lines: [
        [900, 'wrote'],
        [1_000, 'fate', 'silent in flight'],
        [8_000, 'dead', 'user-timeout kernel'],
      ],
    },
    {
      fault: 'late',
      lines: [
        [1_000, 'fate', 'silent'],
        [12_000, 'dead', 'keepalive kernel'],
      ],
    },
    {
      fault: 'late',
      lines: [
        [1_000, 'fate', 'reset'],
        [3_000, 'dead', 'reset node'],
      ],
    },
    { fault: 'doubts out of order', lines: [[1_000, 'recover']] },
    {
      fault: 'doubts out of order',
      lines: [
        [1_000, 'suspect'],
        [2_000, 'suspect'],
      ],
    },
  ])('finds the $fault', ({ fault, lines }) => {
    expect(faultsOf(...lines)).toEqual([fault])
  })

  it('allows a delay of up to the time that the process had no CPU', () => {
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

  it('judges a killed process by how its connections ended', () => {
    const killed = (...said: Entry[]) =>
      judge([entry(0, '1.0', 'accepted', 'beating'), entry(1_000, '1', 'killed'), ...said]).faults
    expect(killed(entry(1_010, '1.0', 'closing'), entry(1_020, '1.0', 'closed'))).toEqual([])
    expect(killed(entry(1_010, '1.0', 'dead', 'reset node'))).toEqual([])
    expect(killed()).toMatchObject([{ fault: 'lost death', fate: 'killed' }])
    // The connection of another process whose number begins with the same digit.
    const other = [entry(0, '10.0', 'accepted', 'beating'), entry(1_000, '1', 'killed')]
    expect(judge(other).faults).toEqual([])
  })

  it('reports events of an unknown connection as unknown', () => {
    expect(judge([entry(0, '?', 'dead', 'reset node')]).faults).toMatchObject([{ fault: 'unknown' }])
    expect(judge([entry(0, '1.0', 'fate', 'reset')]).faults).toMatchObject([{ fault: 'unknown' }])
  })

  it('excuses a connection that lost more segments than intended', () => {
    const lines: Line[] = [
      [1_000, 'deaf'],
      [4_000, 'swallowed', '4'],
      [4_100, 'dead', 'keepalive kernel'],
    ]
    expect(judged(...lines)).toMatchObject({ excused: 1, faults: [] })
    lines[1] = [4_000, 'swallowed', '3']
    expect(judged(...lines)).toMatchObject({ excused: 0, faults: [{ fault: 'false death' }] })
    // The machine dropped segments at the time.
    const dropped = (at: number) =>
      judge([
        entry(0, '1.0', 'accepted', 'clocked'),
        ...lines.map(([at, ...rest]) => entry(at, '1.0', ...rest)),
        entry(at, '*', 'dropped', '7'),
      ])
    expect(dropped(4_050)).toMatchObject({ excused: 1, faults: [] })
    expect(dropped(4_200)).toMatchObject({ excused: 0, faults: [{ fault: 'false death' }] })
  })

  it('ignores events after the end of a connection', () => {
    const lines: Line[] = [[2_000, 'closed']]
    expect(
      judge([
        entry(0, '1.0', 'accepted', 'clocked'),
        entry(1_000, '*', 'finished'),
        ...lines.map(([at, event]) => entry(at, '1.0', event)),
      ]).faults,
    ).toEqual([])
  })

  it('counts suspicions of connections whose peer is heard', () => {
    const doubts = (...lines: Line[]) => judged(...lines).doubts
    expect(doubts([1_000, 'suspect'], [2_000, 'recover'])).toEqual({ suspect: 1, ofHealthy: 1 })
    expect(doubts([500, 'deaf'], [1_000, 'suspect'], [2_000, 'swallowed', '2'], [2_100, 'recover'])).toEqual({
      suspect: 1,
      ofHealthy: 0,
    })
  })
})

describe('the judge of TLS, HTTPS and HTTP/2 connections', () => {
  interface Case {
    readonly what: string
    readonly kind?: string
    /** Beside the opening of both ends, the client's answers and the server's. `C` and `S` are the ends, the rest is of the connection. */
    readonly lines: readonly (readonly [at: number, end: 'C' | 'S' | '', event: string, detail?: string])[]
    /** Each with the side. */
    readonly faults?: readonly string[]
  }

  const nameOf = { C: 'out.0/client', S: 'out.0/server', '': 'out.0' }

  function entriesOf(lines: Case['lines'], kind = 'tls'): Entry[] {
    return [
      entry(0, nameOf.C, 'opened', `clocked ${kind} ::1 true`),
      entry(1, nameOf.S, 'opened', `clocked ${kind} ::1 true`),
      entry(2, nameOf.S, 'served', '2'),
      entry(3, nameOf.C, 'answered', '2'),
      ...lines.map(([at, end, event, detail]) => entry(at, nameOf[end], event, detail)),
    ]
  }

  const faultsOf = (entries: Entry[], raisedByNode = {}) =>
    judgeTls(entries, raisedByNode).faults.map(({ fault, side }) => (side ? `${fault}, ${side}` : fault))

  const closed = [
    [1_010, 'C', 'closed'],
    [1_010, 'S', 'closed'],
  ] as const

  it.each<Case>([
    {
      what: 'an orderly close that is reported as closing',
      lines: [[1_000, '', 'fate', 'server ends'], [1_001, 'C', 'closing'], ...closed],
    },
    {
      what: 'an orderly close that an agent counts as closed by the peer',
      kind: 'https',
      lines: [[1_000, '', 'fate', 'one request'], [1_002, 'C', 'counted', 'closedByPeer'], ...closed],
    },
    {
      what: 'a reset that the other side finds',
      lines: [
        [1_000, '', 'fate', 'client resets'],
        [1_001, 'S', 'dead', 'reset kernel'],
        [1_001, 'S', 'error', 'ECONNRESET PeerDeathError'],
        ...closed,
      ],
    },
    {
      what: 'a reset that Node reads as an end, as it came with the answer',
      lines: [
        [900, '', 'fate', 'server resets'],
        [1_000, 'C', 'answered', '2'],
        [1_001, 'C', 'closing'],
        [1_002, 'C', 'closed'],
      ],
    },
    {
      what: 'a silence that the other side finds',
      lines: [
        [1_000, '', 'fate', 'server silent'],
        [9_100, 'C', 'dead', 'keepalive kernel'],
      ],
    },
    {
      what: 'a silence with a request in flight',
      kind: 'http2',
      lines: [
        [1_000, '', 'fate', 'server silent in flight'],
        [1_500, '', 'wrote'],
        [10_000, 'C', 'dead', 'user-timeout kernel'],
      ],
    },
    {
      what: 'a silence whose request came too early',
      lines: [
        [900, '', 'wrote'],
        [1_000, '', 'fate', 'server silent in flight'],
        [9_100, 'C', 'dead', 'keepalive kernel'],
      ],
    },
    {
      what: 'a reset that an HTTP/2 server reads as an end, as it came with a WINDOW_UPDATE',
      kind: 'http2',
      lines: [[1_000, '', 'fate', 'client resets'], [1_002, 'S', 'closing'], ...closed],
    },
    { what: 'a connection that is still open', lines: [] },
    {
      what: 'what happens after the end',
      lines: [
        [1_000, '', 'finished'],
        [1_001, 'C', 'dead', 'reset kernel'],
      ],
    },
    {
      what: 'what the end came too early for',
      lines: [
        [1_000, '', 'fate', 'server silent'],
        [5_000, '', 'finished'],
      ],
    },
  ])('finds nothing wrong with $what', ({ kind, lines }) => {
    expect(faultsOf(entriesOf(lines, kind))).toEqual([])
  })

  it.each<Case>([
    {
      what: 'a death of an orderly closed connection',
      lines: [[1_000, '', 'fate', 'client ends'], [1_005, 'S', 'dead', 'reset kernel'], ...closed],
      faults: ['false death, server'],
    },
    {
      what: 'an error of an orderly closed connection',
      lines: [
        [1_000, '', 'fate', 'client destroys'],
        [1_001, 'S', 'closing'],
        [1_005, 'S', 'error', 'ECONNRESET PeerDeathError'],
        ...closed,
      ],
      faults: ['false error, server'],
    },
    {
      what: 'an error of the end that closed',
      kind: 'https',
      lines: [[1_000, '', 'fate', 'one request'], [1_005, 'S', 'error', 'EPIPE PeerDeathError'], ...closed],
      faults: ['false error, server'],
    },
    {
      what: 'a death of a living connection',
      lines: [[1_000, 'C', 'dead', 'heartbeat heartbeat']],
      faults: ['false death, client'],
    },
    {
      what: 'an error of a living connection',
      lines: [[1_000, 'C', 'error', 'ETIMEDOUT PeerDeathError']],
      faults: ['false error, client'],
    },
    {
      what: 'a death before the end',
      lines: [
        [900, 'C', 'dead', 'keepalive kernel'],
        [1_000, '', 'fate', 'server silent'],
      ],
      faults: ['false death, client'],
    },
    {
      what: 'a closing before the end',
      lines: [[900, 'C', 'closing'], [1_000, '', 'fate', 'server ends'], ...closed],
      faults: ['false closing, client'],
    },
    {
      what: 'a closing of a connection that was reset',
      lines: [
        [1_000, '', 'fate', 'server resets'],
        [1_001, 'C', 'closing'],
        [1_002, 'C', 'dead', 'reset kernel'],
      ],
      faults: ['false closing, client'],
    },
    {
      what: 'a reset that is reported as closing, though it came with nothing',
      lines: [
        [1_000, '', 'fate', 'server resets'],
        [1_001, 'C', 'closing'],
        [1_002, 'C', 'closed'],
      ],
      faults: ['false closing, client'],
    },
    {
      what: 'a reset that came with the answer and was not reported at all',
      lines: [
        [900, '', 'fate', 'server resets'],
        [1_000, 'C', 'answered', '2'],
        [1_002, 'C', 'closed'],
      ],
      faults: ['lost death, client'],
    },
    {
      what: 'a close that nothing led to',
      lines: [[1_000, 'C', 'closed']],
      faults: ['closed by nobody, client'],
    },
    {
      what: 'a death that nobody found',
      lines: [[1_000, '', 'fate', 'server silent']],
      faults: ['lost death, client'],
    },
    {
      what: 'a closing that nobody was told of',
      lines: [[1_000, '', 'fate', 'server ends'], ...closed],
      faults: ['lost closing, client'],
    },
    {
      what: 'an end that never closes',
      lines: [[1_000, '', 'fate', 'client ends'], [1_001, 'S', 'closing'], closed[0]],
      faults: ['lost close, server'],
    },
    {
      what: 'a reset that is called something else',
      lines: [
        [1_000, '', 'fate', 'server resets'],
        [1_001, 'C', 'dead', 'keepalive kernel'],
      ],
      faults: ['wrong reason, client'],
    },
    {
      what: 'an orderly close that an agent counts as a reset',
      kind: 'https',
      lines: [[1_000, '', 'fate', 'server ends'], [1_002, 'C', 'counted', 'reset'], ...closed],
      faults: ['wrong count, client'],
    },
    {
      what: 'two deaths of one connection',
      lines: [
        [1_000, '', 'fate', 'server resets'],
        [1_001, 'C', 'dead', 'reset kernel'],
        [1_002, 'C', 'dead', 'reset node'],
      ],
      faults: ['said twice, client'],
    },
    {
      what: 'a late death',
      lines: [
        [1_000, '', 'fate', 'server silent'],
        [12_000, 'C', 'dead', 'keepalive kernel'],
      ],
      faults: ['late, client'],
    },
    {
      what: 'a late close',
      lines: [
        [1_000, '', 'fate', 'client destroys'],
        [1_001, 'S', 'closing'],
        [1_001, 'C', 'closed'],
        [3_000, 'S', 'closed'],
      ],
      faults: ['late, server'],
    },
    {
      what: 'an answer that did not arrive',
      lines: [
        [500, 'S', 'served', '3'],
        [1_000, '', 'fate', 'client ends'],
        [1_001, 'S', 'closing'],
        ...closed,
      ],
      faults: ['lost answer'],
    },
  ])('finds $what', ({ kind, lines, faults }) => {
    expect(faultsOf(entriesOf(lines, kind))).toEqual(faults)
  })

  describe('a client that cannot connect', () => {
    const silentServer = [
      entry(1, nameOf.C, 'ports', '40000 443'),
      ...entriesOf([
        [1_000, '', 'fate', 'server silent'],
        [9_100, 'C', 'dead', 'keepalive kernel'],
      ]),
    ]
    const cannotConnect = (ports: string, code: string) => [
      entry(20_000, 'out.1/client', 'ports', ports),
      entry(28_000, 'out.1/client', 'error', `${code} Error`),
      entry(28_000, 'out.1/client', 'closed'),
    ]

    it.each([
      { what: 'is excused after its paused client was sent more than it takes', isFilled: true },
      { what: 'is a fault otherwise', isFilled: false },
    ])('whose server ends by userTimeout $what', ({ isFilled }) => {
      const entries = [
        entry(1, 'out.1/client', 'opened', 'clocked tls ::1 true'),
        entry(1, 'out.1/server', 'opened', 'clocked tls ::1 true'),
        ...(isFilled ? [entry(1_000, 'out.1', 'filled')] : []),
        entry(9_200, 'out.1/server', 'error', 'ETIMEDOUT Error'),
        entry(9_200, 'out.1/server', 'closed'),
        entry(9_300, 'out.1/client', 'dead', 'reset kernel'),
      ]
      const { faults, filled } = judgeTls(entries)
      expect({ isFault: faults.length > 0, filled }).toEqual({ isFault: !isFilled, filled: Number(isFilled) })
    })

    it('is excused if it got the ports of a connection whose server is unresponsive', () => {
      const { faults, excused } = judgeTls([...silentServer, ...cannotConnect('40000 443', 'ETIMEDOUT')])
      expect({ faults, excused }).toEqual({ faults: [], excused: 1 })
    })

    it.each([
      { what: 'other ports', entries: cannotConnect('40001 443', 'ETIMEDOUT') },
      { what: 'another error', entries: cannotConnect('40000 443', 'ECONNRESET') },
    ])('is a fault with $what', ({ entries }) => {
      expect(faultsOf([...silentServer, ...entries])).toEqual(['unknown'])
    })
  })

  it('finds reports about unknown connections', () => {
    expect(faultsOf([entry(0, '?/?', 'dead', 'reset node')])).toEqual(['unknown'])
  })

  it('allows the errors that Node raises without a watcher, only for the same kind of connection and fate', () => {
    const lines: Case['lines'] = [
      [1_000, '', 'fate', 'client ends'],
      [1_001, 'S', 'closing'],
      [1_005, 'S', 'error', 'ECONNRESET Error'],
      ...closed,
    ]
    const raised = errorsOf(entriesOf(lines))
    expect(raised).toEqual({ 'tls, client ends: ECONNRESET Error': 1 })
    expect(faultsOf(entriesOf(lines), raised)).toEqual([])
    expect(faultsOf(entriesOf(lines, 'http2'), raised)).toEqual(['false error, server'])
  })

  it("allows for time without CPU: of the connection's own process for a death, of both processes for a close", () => {
    const late = (fate: string, end: 'C' | 'S', event: string, process: string, detail = '') => [
      ...entriesOf([
        [1_000, '', 'fate', fate],
        [1_001, 'S', 'closing'],
        [3_000, end, event, detail],
      ]),
      entry(2_900, process, 'starved', '600'),
    ]
    expect(faultsOf(late('server resets', 'C', 'dead', '*', 'reset node'))).not.toContain('late, client')
    expect(faultsOf(late('server resets', 'C', 'dead', '*tls', 'reset node'))).toContain('late, client')
    expect(faultsOf(late('client ends', 'S', 'closed', '*'))).not.toContain('late, server')
    expect(faultsOf(late('client ends', 'S', 'closed', '*tls'))).not.toContain('late, server')
  })
})

describe('the judge of growth', () => {
  const samples = (heap: (at: number) => number, { seconds = 600, every = 10 } = {}) =>
    Array.from({ length: seconds / every + 1 }, (_, i) => ({
      at: every * i,
      heap: heap(every * i),
      external: 2 ** 24,
      rss: 2 ** 28,
      others: 25,
    }))
  const heapOf = (...run: Parameters<typeof samples>) =>
    growth(samples(...run)).find(({ key }) => key === 'heap')!

  it('accepts a value that swings', () => {
    const { grownBy, allowed } = heapOf((at) => 100e6 + 2e6 * Math.sin(at))
    expect(grownBy).toBeLessThan(allowed)
  })

  it('accepts a value that swings up during most of the last samples, as in a short run', () => {
    const lifted = [40, 50, 55]
    const run = { seconds: 60, every: 5 }
    const swings = heapOf((at) => 10e6 + (lifted.includes(at) ? 8e6 : 0), run)
    expect(swings.grownBy).toBeLessThan(swings.allowed)
    // The same with something that is still there at the end.
    const grows = heapOf((at) => 10e6 + (at >= 40 ? 8e6 : 0), run)
    expect(grows.grownBy).toBeGreaterThan(grows.allowed)
  })

  it('refuses a value that keeps growing', () => {
    // 150 connections a second: 100 bytes each, and 50 while the heap swings.
    const steady = heapOf((at) => 100e6 + 15_000 * at)
    expect(steady.grownBy).toBeGreaterThan(steady.allowed)
    const least = heapOf((at) => 100e6 + 1e6 * Math.sin(at) + 7_500 * at, { seconds: 1_800 })
    expect(least.grownBy).toBeGreaterThan(least.allowed)
  })

  it('accepts growth while the process warms up', () => {
    const { grownBy } = heapOf((at) => 100e6 * Math.min(1, at / 20))
    expect(grownBy).toBe(0)
  })
})
