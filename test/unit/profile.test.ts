import { describe, expect, it } from 'vitest'
import { defineProfile, InvalidTypeError, OutOfRangeError, type Profile, profiles } from '../../src/index.js'
import { type OptionRow, optionNames, optionTable } from '../../src/kernel/socket-options.js'

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

  it('treats undefined as left out', () => {
    expect(define({ initialDelay: undefined, userTimeout: 5_000 })).toEqual({ userTimeout: 5_000 })
  })

  const numeric = optionNames.filter((name) => optionTable[name].kind !== 'boolean')

  describe.each(numeric)('%s', (field) => {
    const row: OptionRow = optionTable[field]

    it('accepts both ends of its range', () => {
      expect(define({ [field]: row.min })[field]).toBe(row.min)
      expect(define({ [field]: row.max })[field]).toBe(row.max)
    })

    it.each([
      { where: 'below', value: row.min - row.unit },
      { where: 'above', value: row.max + row.unit },
      { where: 'no whole number', value: row.min + row.unit / 2 + (row.unit === 1 ? 0 : 1) },
      { where: 'NaN', value: Number.NaN },
      { where: 'infinite', value: Number.POSITIVE_INFINITY },
    ])('is refused $where its range: $value', ({ value }) => {
      const refusal = catching(() => define({ [field]: value }))
      expect(refusal).toBeInstanceOf(OutOfRangeError)
      expect(refusal).toBeInstanceOf(RangeError)
      expect(refusal).toMatchObject({ code: 'ERR_OUT_OF_RANGE', field, constant: row.constant })
      expect(refusal.message).toContain(`${row.min} to ${row.max}`)
    })

    it.each([
      { what: 'a string', value: '5' },
      { what: 'null', value: null },
      { what: 'a boolean', value: true },
      { what: 'a bigint', value: 5n },
      { what: 'an object', value: {} },
    ])('is refused as $what', ({ value }) => {
      const refusal = catching(() => define({ [field]: value }))
      expect(refusal).toBeInstanceOf(InvalidTypeError)
      expect(refusal).toBeInstanceOf(TypeError)
      expect(refusal).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE', field, constant: row.constant })
      expect(refusal.message).toContain(`${row.min} to ${row.max}`)
    })
  })

  it.each(['enable', 'failOnIcmp'])('accepts only true and false for %s', (field) => {
    expect(define({ [field]: true })).toHaveProperty(field, true)
    expect(define({ [field]: false })).toHaveProperty(field, false)
    for (const value of [1, 0, 'true', null, {}]) {
      expect(catching(() => define({ [field]: value }))).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
        field,
      })
    }
  })

  it('refuses 1500 ms, because the kernel counts whole seconds', () => {
    expect(() => define({ interval: 1_500 })).toThrow(/must be whole seconds .*; got 1500 ms/)
  })

  it.each([
    { wrong: 'initialdelay', right: 'initialDelay' },
    { wrong: 'TCP_KEEPIDLE', right: 'initialDelay' },
    { wrong: 'idle', right: 'initialDelay' },
    { wrong: 'TCP_USER_TIMEOUT', right: 'userTimeout' },
    { wrong: 'user_timeout', right: 'userTimeout' },
    { wrong: 'probes', right: 'count' },
    { wrong: 'SO_KEEPALIVE', right: 'enable' },
  ])('suggests $right for $wrong', ({ wrong, right }) => {
    expect(() => define({ [wrong]: 1 })).toThrow(
      `Unknown field \`${wrong}\` of a profile. Did you mean \`${right}\`?`,
    )
  })

  it('lists the fields if it has no suggestion', () => {
    expect(() => define({ colour: 1 })).toThrow(/Its fields are `enable`, `initialDelay`/)
  })

  it.each([null, undefined, 5, 'cloud', [], true])('refuses %s as a profile', (value) => {
    expect(catching(() => define(value as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  })

  it('treats names of inherited properties as unknown fields', () => {
    const refusal = catching(() => define({ constructor: 1 }))
    expect(refusal).toMatchObject({ field: 'constructor' })
    expect(refusal.message).toMatch(/Its fields are/)
  })
})

describe('the presets', () => {
  const presets = Object.entries<Profile>(profiles).map(([name, profile]) => ({ name, profile }))

  it.each(presets)('are frozen, complete and valid: $name', ({ profile }) => {
    expect(Object.isFrozen(profile)).toBe(true)
    expect(defineProfile(profile)).toEqual(profile)
    expect(profile).toMatchObject({ enable: true })
  })

  it.each(presets.filter(({ name }) => name !== 'patient'))(
    'give every probe its chance by userTimeout = initialDelay + interval × count: $name',
    ({ profile }) => {
      expect(profile.userTimeout).toBe(profile.initialDelay! + profile.interval! * profile.count!)
    },
  )

  it('switch userTimeout off in patient', () => {
    expect(profiles.patient.userTimeout).toBe(0)
  })

  it('set the same fields, so that each replaces any other completely', () => {
    const fields = ['count', 'enable', 'initialDelay', 'interval', 'userTimeout']
    for (const [name, profile] of Object.entries<Profile>(profiles)) {
      expect(Object.keys(profile).sort(), name).toEqual(fields)
    }
  })

  it('send two probes with cloud before a path drops the connection after 60 s', () => {
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
