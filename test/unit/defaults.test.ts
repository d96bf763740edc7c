import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { equalsDefault, parseSysctl } from '../../src/kernel/defaults.js'

describe('parseSysctl', () => {
  it.each([
    { text: '7200\n', value: 7200 },
    { text: '0\n', value: 0 },
    { text: '-1\n', value: -1 },
    { text: '9', value: 9 },
    { text: '', value: undefined },
    { text: '\n', value: undefined },
    { text: '4096\t131072\t6291456\n', value: undefined },
    { text: 'cubic\n', value: undefined },
    { text: '0x10\n', value: undefined },
    { text: '1\n2\n', value: undefined },
  ])('reads $text as $value', ({ text, value }) => {
    expect(parseSysctl(text)).toBe(value)
  })

  it('reads any text as a whole number or nothing', () => {
    const text = fc.oneof(
      fc.string(),
      fc.integer().map((n) => `${n}\n`),
      fc.stringMatching(/^[-\d\s.ex]{0,20}$/),
    )
    fc.assert(
      fc.property(text, (any) => {
        const value = parseSysctl(any)
        if (value !== undefined && !Number.isSafeInteger(value)) throw new Error(`${value}`)
      }),
      { numRuns: 30_000 },
    )
  })
})

describe('equalsDefault', () => {
  const defaults = { initialDelay: 7_200_000, interval: 75_000, count: 9, synCount: 6, rtoMax: undefined }

  it('names the options whose value is the default', () => {
    const values = {
      enable: true,
      initialDelay: 7_200_000,
      interval: 10_000,
      count: 9,
      userTimeout: 0,
      synCount: 2,
    }
    expect(equalsDefault(values, defaults)).toEqual(['initialDelay', 'count', 'userTimeout'])
  })

  it('names no option that the socket or the system does not have', () => {
    expect(equalsDefault({ rtoMax: 120_000 }, defaults)).toEqual([])
    expect(equalsDefault({}, { ...defaults, rtoMax: 120_000 })).toEqual([])
  })
})
