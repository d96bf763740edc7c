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

  it.each(['one of 40 listeners', 'syn-recv', 'time-wait'])(
    'closes exactly the listed socket: %s',
    (kind) => {
      expect(report.destroyed[kind]).toEqual({ bound: false, codes: [null, null, 'ENOENT'], left: false })
    },
  )

  it.each(['link-local', 'bound to an interface'])(
    'needs no more than the interface to close it: %s',
    (kind) => {
      expect(report.destroyed[kind]).toEqual({ bound: true, codes: ['ENOENT', null, 'ENOENT'], left: false })
    },
  )

  it('does not find a listener bound to an interface without that interface, and leaves it alive', () => {
    expect(report.destroyed['listener bound to an interface']).toEqual({
      bound: true,
      codes: ['ERR_AMBIGUOUS_ADDRESS', null, 'ENOENT'],
      left: false,
    })
  })

  it('causes an error only for the owners of these sockets', () => {
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
