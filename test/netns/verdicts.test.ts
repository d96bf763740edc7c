import { describe, expect, it } from 'vitest'
import { hasNamespaces, runInNamespace } from '../support/network-namespace.js'

interface Report {
  ls: Record<string, number>
  suspects: number
  doctor: { verdicts: Record<string, number>; unanswered: number }
  exported: Record<string, number>
  watch: Record<string, number>
  inspected: { state: string; ls: string; inspect: string }[]
}

// 27 connections, both ends on this host. Of the client's ends 4 have acknowledged probes, 6 nobody has asked; 5 send data again and 7 have an
// unanswered probe, the peers of both hearing nothing; 2 were closed by their program and 3 are half-closed.
const expected = { alive: 4, unknown: 4 + 2 * 6 + 5 + 7 + 2, suspect: 5 + 7, closing: 2 + 2 * 3 }

// Idle for a minute, before a verdict is unknown.
describe.runIf(hasNamespaces)('ls, doctor, watch, export and inspect', { timeout: 180_000 }, () => {
  it('report the same verdict for each connection', async () => {
    const { ls, suspects, doctor, exported, watch, inspected }: Report = await runInNamespace('verdicts.mjs')
    expect(ls).toEqual(expected)
    expect(suspects).toBe(expected.suspect)
    expect(doctor).toEqual({ verdicts: expected, unanswered: expected.suspect })
    // The scrape itself is a connection, too.
    expect(exported).toEqual({ ...expected, alive: expected.alive + 2 })
    expect(watch).toEqual({ suspect: expected.suspect, recover: 1 })
    expect(inspected.length).toBeGreaterThanOrEqual(6)
    for (const each of inspected) expect(each.inspect, each.state).toBe(each.ls)
  })
})
