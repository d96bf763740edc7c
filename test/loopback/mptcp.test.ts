import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { profiles } from '../../src/index.js'
import { hasNetAdmin } from '../support/net-admin.js'

const sysctl = '/proc/sys/net/mptcp/enabled'
const missing = !existsSync(sysctl) || readFileSync(sysctl, 'utf8').trim() !== '1'
if (missing) console.log('# skipped: this kernel has MPTCP switched off (net.mptcp.enabled)')

/** An MPTCP socket takes the keepalive options and refuses others: a roll-back met for real. */
describe.skipIf(missing)('an MPTCP socket', () => {
  const outcomes = missing ? undefined : run('mptcp.mjs')

  it('accepts initialDelay, interval and count', () => {
    expect(outcomes.keepalive.error).toBeUndefined()
    expect(outcomes.keepalive.after).toMatchObject({
      enable: true,
      initialDelay: 10_000,
      interval: 2_000,
      count: 4,
    })
  })

  it.each(['userTimeout', 'preset'])('refuses a userTimeout, and stays unchanged (%s)', (outcome) => {
    const { error, before, after } = outcomes[outcome]
    expect(error).toMatchObject({
      code: 'ERR_UNSUPPORTED_OPTION',
      field: 'userTimeout',
      constant: 'TCP_USER_TIMEOUT',
      message: expect.stringMatching(/MPTCP.*Nothing was changed/),
    })
    expect(after).toEqual(before)
  })

  it('rolls failOnIcmp back when rtoMax is refused', () => {
    const { error, before, after } = outcomes.bothLevels
    expect(error).toMatchObject({ code: 'ERR_UNSUPPORTED_OPTION', field: 'rtoMax' })
    expect(before).toMatchObject({ failOnIcmp: false })
    expect(after).toEqual(before)
  })

  it('is tuned without userTimeout by bestEffort', () => {
    const { initialDelay, interval, count } = profiles.cloud
    expect(outcomes.bestEffort.error).toBeUndefined()
    expect(outcomes.bestEffort.after).toMatchObject({ enable: true, initialDelay, interval, count })
    expect(outcomes.batch).toEqual([{ skipped: ['rtoMax'] }, { skipped: ['rtoMax'] }])
    expect(outcomes.afterBatch.initialDelay).toBe(9_000)
  })
})

describe.skipIf(missing)('probe of an MPTCP connection', () => {
  const outcomes = missing ? undefined : run('probe-mptcp.mjs', ...(hasNetAdmin ? ['silence'] : []))

  it('works at both ends, and after the fallback to TCP', () => {
    expect(outcomes.answered).toHaveLength(3)
    for (const { result, before, after } of outcomes.answered) {
      expect(result).toMatchObject({ alive: true, evidence: 'ack', attempts: 1 })
      expect(after).toEqual(before)
    }
  })

  it('resolves with closed for a connection that never connected', () => {
    // JSON has no NaN.
    expect(outcomes.alone).toEqual({ alive: false, evidence: 'closed', attempts: 0, idleFor: null })
  })

  it.runIf(hasNetAdmin)('finds an unresponsive peer', () => {
    const { result, before, after } = outcomes.silent
    expect(result).toMatchObject({ alive: false, evidence: 'silence', attempts: 3 })
    expect(after).toEqual(before)
  })
})

// biome-ignore lint/suspicious/noExplicitAny: JSON of a fixture
function run(script: string, ...args: string[]): any {
  const at = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
  return JSON.parse(
    execFileSync('python3', [at('with-mptcp.py'), process.execPath, at(script), ...args], {
      encoding: 'utf8',
    }),
  )
}
