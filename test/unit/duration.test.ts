import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { duration } from '../../src/cli/lib/duration.js'
import { inWords } from '../../src/path/in-words.js'

describe('a time as an argument', () => {
  it.each([
    { text: '30s', ms: 30_000 },
    { text: '5m', ms: 300_000 },
    { text: '5min', ms: 300_000 },
    { text: '350s', ms: 350_000 },
    { text: '1h', ms: 3_600_000 },
    { text: '5d', ms: 432_000_000 },
    { text: '1500ms', ms: 1_500 },
    { text: '1.5s', ms: 1_500 },
    { text: '0.1s', ms: 100 },
    { text: '20us', ms: 0.02 },
    { text: '2.4µs', ms: 0.0024 },
    { text: ' 30s ', ms: 30_000 },
  ])('is $ms ms for $text', ({ text, ms }) => {
    expect(duration(text)).toBe(ms)
  })

  it.each(['30', '', 's', '-5s', '5 s', '1e3s', '5m30s', 'Infinity', '0x5s', '5S'])('is not %j', (text) => {
    expect(() => duration(text)).toThrow('must be a number with a unit: 1500ms, 30s, 5m, 1h or 5d')
  })

  it.each([
    { text: '30', hint: 'Did you mean 30s or 30ms?' },
    { text: '5000', hint: 'Did you mean 5000ms or 5000s?' },
  ])('lacks a unit in $text: $hint', ({ text, hint }) => {
    expect(() => duration(text)).toThrow(hint)
  })

  it('is read back from its text as the same time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e10 }), (ms) => {
        expect(duration(inWords(ms).replace(' ', ''))).toBe(ms)
      }),
    )
  })
})
