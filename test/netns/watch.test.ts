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
  it.each<{
    what: string
    name: string
    reason: string
    state: number
    evidence: RegExp
    earliest: number
    predicted: number
  }>([
    {
      what: 'row 17, data in flight',
      name: 'userTimeout',
      reason: 'unreachable',
      state: CLOSE,
      evidence: /peer unreachable \(EHOSTUNREACH\)/,
      earliest: 2_000,
      predicted: 2_400,
    },
    {
      what: 'row 18, failOnIcmp',
      name: 'failOnIcmp',
      reason: 'unreachable',
      state: ESTABLISHED,
      evidence: /peer unreachable/,
      earliest: 0,
      predicted: 420,
    },
    {
      what: 'row 16, keepalive ignores ICMP',
      name: 'keepalive',
      reason: 'keepalive',
      state: CLOSE,
      evidence: /^2 probes unanswered/,
      earliest: 3_000,
      predicted: 3_000,
    },
    {
      what: 'a black hole on the way',
      name: 'blackHole',
      reason: 'user-timeout',
      state: CLOSE,
      evidence: /^data unacknowledged after \d/,
      earliest: 1_000,
      predicted: 1_400,
    },
    {
      what: 'row 10, a peer that was restarted',
      name: 'rebooted',
      reason: 'reset',
      state: CLOSE,
      evidence: /^reset by the peer/,
      earliest: 2_000,
      predicted: 2_000,
    },
    {
      what: 'row 17, no route from here',
      name: 'noRoute',
      reason: 'user-timeout',
      state: CLOSE,
      evidence: /^1 byte that could not be sent/,
      earliest: 1_000,
      predicted: 1_400,
    },
    // What cannot leave at all is tried again after half a second (TCP_RESOURCE_PROBE_INTERVAL). It has left where the kernel has not
    // noticed yet that the link is down, which it does up to a second later (linkwatch).
    {
      what: 'a link that is down',
      name: 'linkDown',
      reason: 'user-timeout',
      state: CLOSE,
      evidence: /^(data unacknowledged after \d|1 byte that could not be sent)/,
      earliest: 1_000,
      predicted: 1_900,
    },
  ])('is dead in time: $what', ({ name, reason, state, evidence, earliest, predicted }) => {
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

  it("does not report 'unreachable' with onDead 'report', because Node reads the error first", () => {
    const [, unread] = outcomes.reported!
    expect(unread!.deaths).toMatchObject([
      { reason: 'user-timeout', detectedBy: 'kernel', code: 'ETIMEDOUT' },
    ])
    expect(unread!.error).toBeUndefined()
  })
})
