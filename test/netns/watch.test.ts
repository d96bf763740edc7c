import { beforeAll, describe, expect, it } from 'vitest'
import type { WatchStats } from '../../src/index.js'
import { hasNamespaces, runInNamespace } from '../support/network-namespace.js'
import { latest, TICK, timed } from '../support/tolerance.js'

interface Ending {
  deaths: {
    reason: string
    detectedBy: string
    evidence: string
    code: string
    state: number
    after: number
  }[]
  /** The code of the error that the program was told. */
  error?: string
  stats: WatchStats
}

const CLOSE = 7
const ESTABLISHED = 1

describe.runIf(hasNamespaces)('a watched connection to a far host, behind a router', () => {
  let outcomes: Record<string, Ending[]>
  beforeAll(async () => {
    outcomes = await runInNamespace('watched-far-host.mjs')
  })

  // Of each two connections: one that Node reads, and one that it does not.
  it.each<[string, string, string, number, RegExp, number, number]>([
    [
      'row 17, data in flight',
      'userTimeout',
      'unreachable',
      CLOSE,
      /no way to the peer \(EHOSTUNREACH\)/,
      2_000,
      2_400,
    ],
    ['row 18, failOnIcmp', 'failOnIcmp', 'unreachable', ESTABLISHED, /no way to the peer/, 0, 420],
    ['row 16, keepalive ignores ICMP', 'keepalive', 'keepalive', CLOSE, /^2 probes unanswered/, 3_000, 3_000],
    [
      'a black hole on the way',
      'blackHole',
      'user-timeout',
      CLOSE,
      /^data unacknowledged after \d/,
      1_000,
      1_400,
    ],
    ['row 10, a peer that was restarted', 'rebooted', 'reset', CLOSE, /^reset by the peer/, 2_000, 2_000],
    [
      'row 17, no route from here',
      'noRoute',
      'user-timeout',
      CLOSE,
      /^1 byte that could not be sent/,
      1_000,
      1_400,
    ],
    // What cannot leave at all is tried again after half a second (TCP_RESOURCE_PROBE_INTERVAL). It has left where the kernel has not
    // noticed yet that the link is down, which it does up to a second later (linkwatch).
    [
      'a link that is down',
      'linkDown',
      'user-timeout',
      CLOSE,
      /^(data unacknowledged after \d|1 byte that could not be sent)/,
      1_000,
      1_900,
    ],
  ])('%s', (_, name, reason, state, evidence, earliest, predicted) => {
    const code = { unreachable: 'EHOSTUNREACH', reset: 'ECONNRESET' }[reason] ?? 'ETIMEDOUT'
    const both = outcomes[name]!
    expect(both).toHaveLength(2)
    for (const { deaths, error, stats } of both) {
      expect(deaths).toMatchObject([{ reason, code, state, evidence: expect.stringMatching(evidence) }])
      expect(error).toBe(code)
      expect(stats).toEqual({ added: 1, watching: 0, dead: 1, closed: 0, removed: 0 })
      if (!timed) continue
      expect(deaths[0]!.after).toBeGreaterThan(earliest - TICK)
      expect(deaths[0]!.after).toBeLessThan(latest(predicted))
    }
    expect(both[1]!.deaths[0]!.detectedBy).toBe('kernel')
  })

  it("'report' does not take the error from Node, and so cannot tell that the peer is unreachable", () => {
    const [, unread] = outcomes.reported!
    expect(unread!.deaths).toMatchObject([
      { reason: 'user-timeout', detectedBy: 'kernel', code: 'ETIMEDOUT' },
    ])
    expect(unread!.error).toBeUndefined()
  })
})
