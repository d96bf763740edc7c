import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { equalsDefault, parseSysctl } from '../../src/kernel/defaults.js'

describe('parseSysctl', () => {
  it.each([
    ['7200\n', 7200],
    ['0\n', 0],
    ['-1\n', -1],
    ['9', 9],
    ['', undefined],
    ['\n', undefined],
    ['4096\t131072\t6291456\n', undefined],
    ['cubic\n', undefined],
    ['0x10\n', undefined],
    ['1\n2\n', undefined],
  ])('%j is %s', (text, value) => {
    expect(parseSysctl(text)).toBe(value)
  })

  it('on any text: a whole number or nothing', () => {
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

  it('names none that the socket or the system does not have', () => {
    expect(equalsDefault({ rtoMax: 120_000 }, defaults)).toEqual([])
    expect(equalsDefault({}, { ...defaults, rtoMax: 120_000 })).toEqual([])
  })
})
