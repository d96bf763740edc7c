import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { leaveOut } from '../support/skip-reason.js'

const isPossible = spawnSync('unshare', ['-T', '--fork', '--monotonic=1', 'true']).status === 0
if (!isPossible) leaveOut('no time namespace to be had (unshare -T)')

describe.runIf(isPossible)('a time namespace whose clock began after the peer was last heard', () => {
  // biome-ignore lint/suspicious/noExplicitAny: JSON of a fixture
  let outcome: any
  beforeAll(async () => {
    const script = fileURLToPath(new URL('fixtures/in-time-namespace.mjs', import.meta.url))
    outcome = JSON.parse((await promisify(execFile)(process.execPath, [script])).stdout)
  })

  it('has an inherited connection that was last heard before the clock began', () => {
    expect(outcome.clock).toBeLessThan(outcome.silence)
  })

  it('lets tune and tuneAll write all values, and report none as pending', () => {
    expect(outcome.byDescriptor).toEqual({})
    expect(outcome.tuned).toEqual({})
    expect(outcome.many).toEqual({ value: [{}, {}] })
    expect(outcome.after).toMatchObject({ enable: true, interval: 1_000, count: 6 })
  })

  it('does not let tune end a connection that was idle for longer than its new values allow', () => {
    expect(outcome.short).toEqual({})
    expect(outcome.pending).toMatchObject({ userTimeout: 4_000 })
  })

  it('lets a probe be acknowledged, and a heartbeat report no death', () => {
    expect(outcome.probed.value).toMatchObject({ alive: true })
    expect(outcome.deaths).toBe(0)
  })
})
