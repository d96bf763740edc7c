import { spawnSync } from 'node:child_process'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Finding } from '../../src/path/index.js'
import { hasNamespaces, runInNamespace } from '../support/network-namespace.js'
import { leaveOut } from '../support/skip-reason.js'

const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
const hasNat = spawnSync('nft', ['--version'], { env }).status === 0
if (!hasNat) leaveOut('nft is not installed')

interface Outcome {
  readonly findings: readonly Finding[]
  readonly carried: boolean
  readonly verdict: string
  readonly sentAgain: number
}

// Linux's own NAT, set to forget after 3 s where one of a cloud does after 350.
describe.runIf(hasNamespaces && hasNat)('a NAT that silently forgets idle connections', () => {
  let outcomes: Record<'untouched' | 'unplanned' | 'planned', Outcome>
  beforeAll(async () => {
    outcomes = await runInNamespace('forgetful-nat.mjs')
  })

  it.each(['untouched', 'unplanned'] as const)(
    'makes an idle connection hang without an error (%s)',
    (name) => {
      const { carried, verdict, sentAgain } = outcomes[name]
      expect({ carried, verdict }).toEqual({ carried: false, verdict: 'suspect' })
      expect(sentAgain).toBeGreaterThan(2)
    },
  )

  it('does not end a planned connection', () => {
    const { carried, verdict, sentAgain } = outcomes.planned
    expect({ carried, verdict, sentAgain }).toEqual({ carried: true, verdict: 'alive', sentAgain: 0 })
  })

  it('is named by audit beforehand', () => {
    expect(outcomes.untouched.findings[0]).toMatchObject({
      severity: 'error',
      code: 'keepalive-off',
      hop: 'nat',
    })
    expect(outcomes.unplanned.findings[0]).toEqual({
      severity: 'error',
      code: 'forgets-before-probe',
      hop: 'nat',
      message:
        'nat drops a connection silently after 3 s without traffic. The first probe, after 2 h, is too late.',
      change: 'Set initialDelay to 1 s or less, and interval to 1 s or less.',
    })
    expect(outcomes.planned.findings).toEqual([])
  })
})
