import { describe, expect, it } from 'vitest'
import { failureOf, judgeStale } from '../../src/http/stale.js'
import { Statistics } from '../../src/http/statistics.js'

describe('the statistics of connections', () => {
  it('are kept by origin and in total', () => {
    const statistics = new Statistics()
    for (const name of ['requests', 'opened', 'requests', 'reusedRequests', 'closedByPeer'] as const) {
      statistics.count('http://a:80', name)
    }
    for (const name of ['requests', 'opened'] as const) statistics.count('http://b:80', name)
    const { total, origins } = statistics.snapshot()
    expect(total).toMatchObject({ requests: 3, opened: 2, open: 1, closedByPeer: 1, reusedRequests: 1 })
    expect(total.reuseRatio).toBeCloseTo(1 / 3)
    expect(origins['http://a:80']).toMatchObject({ opened: 1, open: 0, reuseRatio: 0.5 })
    expect(origins['http://b:80']).toMatchObject({ opened: 1, open: 1, reuseRatio: 0 })
  })

  it('are a snapshot that does not change, and never divide by zero', () => {
    const statistics = new Statistics()
    const before = statistics.snapshot()
    statistics.count('http://a:80', 'requests')
    expect(before.total).toMatchObject({ requests: 0, reuseRatio: 0 })
    expect(Object.isFrozen(before.total) && Object.isFrozen(before.origins)).toBe(true)
  })

  it('forget the oldest origins without open connections, but keep their numbers in the total', () => {
    const statistics = new Statistics()
    statistics.count('open', 'requests')
    statistics.count('open', 'opened')
    statistics.count('first', 'requests')
    statistics.count('second', 'requests')
    statistics.count('first', 'requests')
    for (let i = 0; i < 998; i++) statistics.count(`o${i}`, 'requests')
    const { total, origins } = statistics.snapshot()
    expect(Object.keys(origins)).toHaveLength(1_000)
    expect(origins).toHaveProperty('open')
    expect(origins).toHaveProperty('first')
    expect(origins).not.toHaveProperty('second')
    expect(total.requests).toBe(1_002)
  })
})

describe('a stale reuse', () => {
  const met = { reused: true, answered: false, peerClosed: false, acknowledged: false }

  it.each([
    { failure: 'reset', evidence: met, stale: true },
    { failure: 'timed-out', evidence: met, stale: true },
    { failure: 'closed', evidence: met, stale: true },
    { failure: undefined, evidence: met, stale: false },
    { failure: 'reset', evidence: { ...met, reused: false }, stale: false },
    { failure: 'reset', evidence: { ...met, answered: true }, stale: false },
    { failure: 'reset', evidence: { ...met, acknowledged: true }, stale: false },
    { failure: 'timed-out', evidence: { ...met, acknowledged: true }, stale: false },
    { failure: 'closed', evidence: { ...met, acknowledged: true }, stale: false },
    { failure: 'closed', evidence: { ...met, acknowledged: undefined }, stale: true },
  ] as const)('is judged by $failure and $evidence: $stale', ({ failure, evidence, stale }) => {
    expect(judgeStale(failure, evidence)).toBe(stale)
  })

  it.each([
    { error: { code: 'ECONNRESET', errno: -104, syscall: 'read' }, failure: 'reset' },
    { error: { code: 'EPIPE', errno: -32 }, failure: 'reset' },
    { error: { code: 'ETIMEDOUT', errno: -110 }, failure: 'timed-out' },
    { error: { code: 'EHOSTUNREACH', errno: -113 }, failure: 'timed-out' },
    { error: { code: 'ERR_WRAPPED', cause: { code: 'ECONNRESET', errno: -104 } }, failure: 'reset' },
    // What a program, a library, or Node makes of its own accord.
    { error: { code: 'ETIMEDOUT' }, failure: undefined },
    { error: { code: 'ECONNRESET' }, failure: undefined },
    { error: { code: 'ECONNREFUSED', errno: -111 }, failure: undefined },
    { error: new Error('anything'), failure: undefined },
    { error: 'ECONNRESET', failure: undefined },
    { error: null, failure: undefined },
  ])('knows $error as $failure', ({ error, failure }) => {
    expect(failureOf(error)).toBe(failure)
  })
})
