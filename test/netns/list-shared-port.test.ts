import { beforeAll, describe, expect, it } from 'vitest'
import { hasNamespaces, runInside } from '../support/network-namespace.js'

interface Report {
  held: number
  outcomes: { interrupted: boolean; missing: number; twice: number; others: number }[]
  /** Listeners that came and went meanwhile. */
  closed: number
}

// Enough that a dozen lists of these would lack one if nothing were done about it.
const LISTENERS = 300
const DUMPS = 2_000

describe.skipIf(!hasNamespaces)(
  'the list of 300 listeners that share a port, while other listeners on it open and close',
  () => {
    let report: Report
    beforeAll(async () => {
      report = JSON.parse(await runInside('list-shared-port.mjs', String(LISTENERS), String(DUMPS)))
    })

    it('is read while other sockets open and close', () => {
      expect(report.held).toBeGreaterThanOrEqual(LISTENERS)
      expect(report.closed).toBeGreaterThan(1_000)
    })

    it('is complete, or reports that it may be incomplete', () => {
      const complete = report.outcomes.filter(({ interrupted }) => !interrupted)
      // There is time for several lists between two changes, so few lists are interrupted in all four attempts.
      expect(complete.length).toBeGreaterThan(DUMPS / 2)
      for (const outcome of complete) expect(outcome).toMatchObject({ missing: 0, twice: 0 })
    })
  },
)
