import { beforeAll, describe, expect, it } from 'vitest'
import type { LivenessCounters } from '../../src/host/index.js'
import { hasNamespaces, runInNamespace } from '../support/network-namespace.js'
import { latest, TICK } from '../support/tolerance.js'

interface Ending {
  code: string
  after: number
}

describe.runIf(hasNamespaces)('a connection to a far host behind a router', () => {
  let outcomes: Record<string, Ending> & { counted: LivenessCounters }
  beforeAll(async () => {
    outcomes = await runInNamespace('unreachable.mjs')
  })

  it('is ended by keepalive despite ICMP unreachable messages, also with failOnIcmp (row 16)', () => {
    const { code, after } = outcomes.keepalive!
    expect(code).toBe('ETIMEDOUT')
    // Silence began when it was heard last, which the setting up of the others came after.
    expect(after).toBeGreaterThan(2_500)
    expect(after).toBeLessThan(latest(3_000))
  })

  it('counts these as probes and as ICMP out of the window (row 16)', () => {
    expect(outcomes.counted).toMatchObject({ keepaliveProbes: 2, outOfWindowIcmps: 2 })
  })

  it('ends with EHOSTUNREACH with data in flight (row 17)', () => {
    const { code, after } = outcomes.userTimeout!
    expect(code).toBe('EHOSTUNREACH')
    expect(after).toBeGreaterThan(2_000)
    expect(after).toBeLessThan(latest(2_400))
  })

  it('ends with the first ICMP with failOnIcmp (row 18)', () => {
    const { code, after } = outcomes.failOnIcmp!
    expect(code).toBe('EHOSTUNREACH')
    expect(after).toBeLessThan(latest(420))
  })

  it('is reset by a restarted peer at the first probe (row 10)', () => {
    const { code, after } = outcomes.rebooted!
    expect(code).toBe('ECONNRESET')
    expect(after).toBeGreaterThan(2_000 - TICK)
    expect(after).toBeLessThan(latest(2_000))
  })
})
