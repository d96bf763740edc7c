import { beforeAll, describe, expect, it } from 'vitest'
import { hasNamespaces, runInNamespace } from '../support/network-namespace.js'

interface Report {
  /** Codes of destroying it without the interface it is bound to, as it was listed, and once more. */
  destroyed: Record<string, { bound: boolean; codes: (string | null)[]; left: boolean }>
  fates: Record<string, string | number>
}

describe.skipIf(!hasNamespaces)('destroySocket of what listSockets yields', () => {
  let report: Report
  beforeAll(async () => {
    report = await runInNamespace('destroy-listed.mjs')
  })

  it.each(['one of 40 listeners', 'syn-recv', 'time-wait'])('%s', (kind) => {
    expect(report.destroyed[kind]).toEqual({ bound: false, codes: [null, null, 'ENOENT'], left: false })
  })

  it.each(['link-local', 'bound to an interface'])('%s: with the interface alone', (kind) => {
    expect(report.destroyed[kind]).toEqual({ bound: true, codes: ['ENOENT', null, 'ENOENT'], left: false })
  })

  it('listener bound to an interface: without it, alive and not found', () => {
    expect(report.destroyed['listener bound to an interface']).toEqual({
      bound: true,
      codes: ['ERR_AMBIGUOUS_ADDRESS', null, 'ENOENT'],
      left: false,
    })
  })

  it('whoever has them open is told, and nobody else is hit', () => {
    const aborted = 'Software caused connection abort'
    expect(report.fates).toEqual({
      'link-local': aborted,
      'link-local, its peer': 'Connection reset by peer',
      'bound to an interface': aborted,
      'listener bound to an interface': aborted,
      'one of 40 listeners': aborted,
      'others that listen': 39,
    })
  })
})
