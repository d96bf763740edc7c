import { expect, it } from 'vitest'
import type { ProbeResult } from '../../src/index.js'
import { hasNamespaces, runInside } from '../support/network-namespace.js'

const ONE_WAY = 400

interface Outcome {
  before: { rtt: number; rto: number }[]
  results: ProbeResult[]
  asked: number[]
}

it.runIf(hasNamespaces)(
  'accepts the first acknowledgement with a round trip of 400 ms, even if timeout is shorter',
  async () => {
    const output = await runInside('probe-over-long-wire.mjs', String(ONE_WAY))
    const { before, results, asked } = JSON.parse(output) as Outcome
    // By default; asked once; asked once and given a millisecond.
    expect(results).toHaveLength(3)
    for (const { alive, evidence, attempts, rtt } of results) {
      expect({ alive, evidence, attempts }).toEqual({ alive: true, evidence: 'ack', attempts: 1 })
      expect(rtt).toBeGreaterThanOrEqual(2 * ONE_WAY - 10)
      // As far as the relay, which is a program, is late; that would be no answer within any of these timeouts.
      expect(rtt).toBeLessThan(before[0]!.rto)
    }
    expect(asked).toEqual([1, 1, 1])
    // So long does the connection itself wait for an answer: longer than the default timeout, and than all attempts together.
    for (const { rtt, rto } of before) {
      expect(rtt).toBeGreaterThanOrEqual(2 * ONE_WAY)
      expect(rto).toBeGreaterThan(2 * 510 + 300)
    }
  },
)
