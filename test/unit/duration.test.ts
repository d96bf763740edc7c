import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { duration } from '../../src/cli/lib/duration.js'
import { inWords } from '../../src/path/in-words.js'

describe('a time as one types it', () => {
  it.each([
    ['30s', 30_000],
    ['5m', 300_000],
    ['5min', 300_000],
    ['350s', 350_000],
    ['1h', 3_600_000],
    ['5d', 432_000_000],
    ['1500ms', 1_500],
    ['1.5s', 1_500],
    ['0.1s', 100],
    ['20us', 0.02],
    ['2.4µs', 0.0024],
    [' 30s ', 30_000],
  ])('%s is %d ms', (text, ms) => {
    expect(duration(text)).toBe(ms)
  })

  it.each(['30', '', 's', '-5s', '5 s', '1e3s', '5m30s', 'Infinity', '0x5s', '5S'])('%j is none', (text) => {
    expect(() => duration(text)).toThrow('must be a number with a unit: 1500ms, 30s, 5m, 1h or 5d')
  })

  it.each([
    ['30', 'Did you mean 30s or 30ms?'],
    ['5000', 'Did you mean 5000ms or 5000s?'],
  ])('%s lacks a unit: %s', (text, hint) => {
    expect(() => duration(text)).toThrow(hint)
  })

  it('is read as it is written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e10 }), (ms) => {
        expect(duration(inWords(ms).replace(' ', ''))).toBe(ms)
      }),
    )
  })
})
