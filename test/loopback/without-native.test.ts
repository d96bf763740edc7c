import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { profiles } from '../../src/index.js'

describe('deadpeer without a native core', () => {
  const outcome = run()

  it('says why, and what Node can do', () => {
    expect(outcome.capabilities).toMatchObject({
      native: false,
      reason: expect.stringContaining('DEADPEER_NATIVE=off'),
      options: { enable: true, initialDelay: true, userTimeout: false, rtoMax: false },
    })
  })

  it('tunes sockets and accepted connections by setKeepAlive', () => {
    const delays = outcome.kept.map(([enable, seconds]: [boolean, number]) => [Boolean(enable), seconds])
    expect(delays).toContainEqual([true, profiles.lan.initialDelay / 1000])
    expect(delays).toContainEqual([true, profiles.cloud.initialDelay / 1000])
    expect(outcome.presets).toEqual([{}, {}])
  })

  it('warns once about the options of presets that it cannot set', () => {
    expect(outcome.warnings).toEqual([
      { code: 'DEADPEER_NO_NATIVE_CORE', message: expect.stringMatching(/without .*userTimeout/) },
    ])
  })

  it('refuses an explicit option that Node cannot set, unless its value is off; bestEffort leaves it out', () => {
    expect(outcome).toMatchObject({ byHand: 'ERR_UNSUPPORTED_OPTION', defined: 'ERR_UNSUPPORTED_OPTION' })
    expect(outcome).not.toHaveProperty('possible')
    expect(outcome).not.toHaveProperty('withoutUserTimeout')
    expect(outcome).not.toHaveProperty('bestEffort')
  })

  it('checks profiles and targets as usual', () => {
    expect(outcome).toMatchObject({
      badRange: 'ERR_OUT_OF_RANGE',
      badTarget: 'ERR_INVALID_ARG_TYPE',
      inspectBadTarget: 'ERR_INVALID_ARG_TYPE',
      closed: 'ERR_SOCKET_CLOSED',
      descriptor: 'ERR_UNSUPPORTED_PLATFORM',
      blackHole: 'ERR_UNSUPPORTED_PLATFORM',
      lossy: 'ERR_UNSUPPORTED_PLATFORM',
      probe: 'ERR_UNSUPPORTED_PLATFORM',
    })
  })

  it('tunes an HTTP/2 session, which forbids setKeepAlive to its users', () => {
    expect(outcome).not.toHaveProperty('session')
  })

  it('puts one listener on a server that is tuned again and again', () => {
    expect(outcome.connectionListeners).toBe(2)
  })

  it('says that inspect reads nothing', () => {
    expect(outcome.inspection).toEqual({
      profile: {},
      evidence: 'not read: the native core is not available',
    })
  })
})

// biome-ignore lint/suspicious/noExplicitAny: JSON of a fixture
function run(): any {
  const script = fileURLToPath(new URL('fixtures/without-native.mjs', import.meta.url))
  const env = { ...process.env, DEADPEER_NATIVE: 'off' }
  return JSON.parse(execFileSync(process.execPath, ['--no-warnings', script], { encoding: 'utf8', env }))
}
