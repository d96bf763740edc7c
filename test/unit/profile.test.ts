import { describe, expect, it } from 'vitest'
import { defineProfile, InvalidTypeError, OutOfRangeError, type Profile, profiles } from '../../src/index.js'
import { type OptionRow, optionNames, optionTable } from '../../src/kernel/options.js'

const define = (profile: object) => defineProfile(profile as Profile)

describe('defineProfile', () => {
  it('freezes what it returns', () => {
    const profile = defineProfile({ initialDelay: 5_000 })
    expect(Object.isFrozen(profile)).toBe(true)
  })

  it.each(['initialDelay', 'interval', 'count'] as const)(
    'switches keepalive on where %s is given',
    (field) => {
      expect(define({ [field]: optionTable[field].min }).enable).toBe(true)
      expect(define({ enable: false, [field]: optionTable[field].min }).enable).toBe(false)
    },
  )

  it.each(['userTimeout', 'synCount', 'rtoMax', 'failOnIcmp'] as const)(
    'leaves keepalive alone where only %s is given',
    (field) => {
      expect(define({ [field]: field === 'failOnIcmp' ? true : optionTable[field].max })).not.toHaveProperty(
        'enable',
      )
    },
  )

  it('takes undefined for left out', () => {
    expect(define({ initialDelay: undefined, userTimeout: 5_000 })).toEqual({ userTimeout: 5_000 })
  })

  const numeric = optionNames.filter((name) => optionTable[name].kind !== 'boolean')

  describe.each(numeric)('%s', (field) => {
    const row: OptionRow = optionTable[field]

    it('takes both ends of its range', () => {
      expect(define({ [field]: row.min })[field]).toBe(row.min)
      expect(define({ [field]: row.max })[field]).toBe(row.max)
    })

    it.each([
      ['below', row.min - row.unit],
      ['above', row.max + row.unit],
      ['no whole number', row.min + row.unit / 2 + (row.unit === 1 ? 0 : 1)],
      ['NaN', Number.NaN],
      ['infinite', Number.POSITIVE_INFINITY],
    ])('refuses %s: %d', (_, value) => {
      const refusal = catching(() => define({ [field]: value }))
      expect(refusal).toBeInstanceOf(OutOfRangeError)
      expect(refusal).toBeInstanceOf(RangeError)
      expect(refusal).toMatchObject({ code: 'ERR_OUT_OF_RANGE', field, constant: row.constant })
      expect(refusal.message).toContain(`${row.min} to ${row.max}`)
    })

    it.each([
      ['a string', '5'],
      ['null', null],
      ['a boolean', true],
      ['a bigint', 5n],
      ['an object', {}],
    ])('refuses %s', (_, value) => {
      const refusal = catching(() => define({ [field]: value }))
      expect(refusal).toBeInstanceOf(InvalidTypeError)
      expect(refusal).toBeInstanceOf(TypeError)
      expect(refusal).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE', field, constant: row.constant })
      expect(refusal.message).toContain(`${row.min} to ${row.max}`)
    })
  })

  it.each(['enable', 'failOnIcmp'])('%s takes true and false, and nothing else', (field) => {
    expect(define({ [field]: true })).toHaveProperty(field, true)
    expect(define({ [field]: false })).toHaveProperty(field, false)
    for (const value of [1, 0, 'true', null, {}]) {
      expect(catching(() => define({ [field]: value }))).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
        field,
      })
    }
  })

  it('says that 1500 ms are no whole seconds, rounding nothing', () => {
    expect(() => define({ interval: 1_500 })).toThrow(/must be whole seconds .*; got 1500 ms/)
  })

  it.each([
    ['initialdelay', 'initialDelay'],
    ['TCP_KEEPIDLE', 'initialDelay'],
    ['idle', 'initialDelay'],
    ['TCP_USER_TIMEOUT', 'userTimeout'],
    ['user_timeout', 'userTimeout'],
    ['probes', 'count'],
    ['SO_KEEPALIVE', 'enable'],
  ])('knows what is meant by %s: %s', (wrong, right) => {
    expect(() => define({ [wrong]: 1 })).toThrow(
      `Unknown field \`${wrong}\` of a profile. Did you mean \`${right}\`?`,
    )
  })

  it('lists the fields where it does not know', () => {
    expect(() => define({ colour: 1 })).toThrow(/Its fields are `enable`, `initialDelay`/)
  })

  it.each([null, undefined, 5, 'cloud', [], true])('refuses %s for a profile', (value) => {
    expect(catching(() => define(value as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  })

  it('is not fooled by inherited names', () => {
    const refusal = catching(() => define({ constructor: 1 }))
    expect(refusal).toMatchObject({ field: 'constructor' })
    expect(refusal.message).toMatch(/Its fields are/)
  })
})

describe('profiles', () => {
  it.each(Object.entries<Profile>(profiles))(
    '%s is frozen, complete and passes its own check',
    (_, profile) => {
      expect(Object.isFrozen(profile)).toBe(true)
      expect(defineProfile(profile)).toEqual(profile)
      expect(profile).toMatchObject({ enable: true })
    },
  )

  it.each(Object.entries<Profile>(profiles).filter(([name]) => name !== 'patient'))(
    '%s gives every probe its chance: userTimeout = initialDelay + interval × count',
    (_, profile) => {
      expect(profile.userTimeout).toBe(profile.initialDelay! + profile.interval! * profile.count!)
    },
  )

  it('patient switches userTimeout off', () => {
    expect(profiles.patient.userTimeout).toBe(0)
  })

  it('every preset sets the same fields, so that each replaces any other completely', () => {
    const fields = ['count', 'enable', 'initialDelay', 'interval', 'userTimeout']
    for (const [name, profile] of Object.entries<Profile>(profiles)) {
      expect(Object.keys(profile).sort(), name).toEqual(fields)
    }
  })

  it('cloud probes twice before a path that forgets after 60 s does', () => {
    expect(profiles.cloud.initialDelay + profiles.cloud.interval).toBeLessThan(60_000)
  })
})

function catching(run: () => unknown): Error {
  try {
    run()
  } catch (error) {
    return error as Error
  }
  throw new Error('was taken')
}
