import { describe, expect, it } from 'vitest'
import { explain, type Profile } from '../../src/index.js'

const codes = (profile: Profile) => explain(profile).map(({ code }) => code)

describe('explain', () => {
  it('warns of a userTimeout that ends the connection before count is reached', () => {
    const [warning] = explain({ initialDelay: 10_000, interval: 10_000, count: 5, userTimeout: 20_000 })
    expect(warning).toEqual({
      code: 'count-never-reached',
      message:
        'userTimeout 20 s ends an idle connection after 1 unanswered probe, at 20 s: count 5 is never reached.',
    })
  })

  it('warns of a userTimeout longer than initialDelay + interval × count', () => {
    expect(codes({ initialDelay: 1_000, interval: 1_000, count: 2, userTimeout: 9_000 })).toContain(
      'user-timeout-outlasts-count',
    )
  })

  it('does not warn of a userTimeout that equals initialDelay + interval × count', () => {
    expect(codes({ initialDelay: 10_000, interval: 5_000, count: 3, userTimeout: 25_000 })).toEqual([
      'ends-slow-reader',
    ])
  })

  it('warns of a userTimeout that ends the connection to a live peer that reads slowly', () => {
    const warning = explain('lan').find(({ code }) => code === 'ends-slow-reader')
    expect(warning?.message).toMatch(
      /userTimeout 6 s also ends the connection to a live peer that reads nothing/,
    )
  })

  it('warns without a userTimeout that data in flight to a dead peer takes 15 minutes', () => {
    const warning = explain('patient').find(({ code }) => code === 'in-flight-unbounded')
    expect(warning?.message).toMatch(/takes 15\.4 min/)
    expect(explain({ initialDelay: 5_000, rtoMax: 1_000 })[0]?.message).toMatch(/takes 14\.8 s/)
  })

  it('warns of an initialDelay longer than common middleboxes keep an idle connection', () => {
    const warning = explain({ initialDelay: 300_000, interval: 1_000, count: 1, userTimeout: 301_000 })[0]
    expect(warning?.code).toBe('initial-delay-past-middleboxes')
    expect(warning?.message).toMatch(/initialDelay is 5 min/)
    expect(codes({ enable: true })).toContain('initial-delay-past-middleboxes')
    expect(codes({ initialDelay: 239_000, userTimeout: 5_000 })).not.toContain(
      'initial-delay-past-middleboxes',
    )
  })

  it('warns of a userTimeout below a second, which was probably meant in seconds', () => {
    const warning = explain({ userTimeout: 300 }).find(({ code }) => code === 'user-timeout-under-a-second')
    expect(warning?.message).toMatch(/^userTimeout 300 ms ends .* If you mean 300 s, write 300_000\.$/)
    expect(codes({ userTimeout: 999 })).toContain('user-timeout-under-a-second')
    expect(codes({ userTimeout: 1_000 })).not.toContain('user-timeout-under-a-second')
    expect(codes({ userTimeout: 0 })).not.toContain('user-timeout-under-a-second')
  })

  it('warns of keepalive that is off', () => {
    expect(codes({ userTimeout: 5_000 })).toEqual(['keepalive-off', 'ends-slow-reader'])
  })

  it('checks the profile', () => {
    expect(() => explain({ count: 0 })).toThrow(RangeError)
  })
})
