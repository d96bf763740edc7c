import { beforeAll, describe, expect, it } from 'vitest'
import type { LivenessCounters } from '../../src/host/index.js'
import { hasNamespaces, runInNamespace } from '../support/network-namespace.js'
import { latest, TICK } from '../support/tolerance.js'

interface Ending {
  code: string
  after: number
}

describe.runIf(hasNamespaces)('a far host, behind a router', () => {
  let outcomes: Record<string, Ending> & { counted: LivenessCounters }
  beforeAll(async () => {
    outcomes = await runInNamespace('unreachable.mjs')
  })

  it('row 16: keepalive ignores ICMP unreachable, also with failOnIcmp', () => {
    const { code, after } = outcomes.keepalive!
    expect(code).toBe('ETIMEDOUT')
    // Silence began when it was heard last, which the setting up of the others came after.
    expect(after).toBeGreaterThan(2_500)
    expect(after).toBeLessThan(latest(3_000))
  })

  it('row 16: both are counted, as probes and as ICMP out of the window', () => {
    expect(outcomes.counted).toMatchObject({ keepaliveProbes: 2, outOfWindowIcmps: 2 })
  })

  it('row 17: data in flight ends with EHOSTUNREACH', () => {
    const { code, after } = outcomes.userTimeout!
    expect(code).toBe('EHOSTUNREACH')
    expect(after).toBeGreaterThan(2_000)
    expect(after).toBeLessThan(latest(2_400))
  })

  it('row 18: failOnIcmp ends it with the first ICMP', () => {
    const { code, after } = outcomes.failOnIcmp!
    expect(code).toBe('EHOSTUNREACH')
    expect(after).toBeLessThan(latest(420))
  })

  it('row 10: a peer that was restarted answers the first probe with a reset', () => {
    const { code, after } = outcomes.rebooted!
    expect(code).toBe('ECONNRESET')
    expect(after).toBeGreaterThan(2_000 - TICK)
    expect(after).toBeLessThan(latest(2_000))
  })
})
