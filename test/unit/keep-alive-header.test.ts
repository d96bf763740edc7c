import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type KeepAlive, parseKeepAlive } from '../../src/http/index.js'

describe('parseKeepAlive', () => {
  it.each([
    ['timeout=5, max=100', { timeout: 5_000, max: 100 }],
    ['timeout=5', { timeout: 5_000 }],
    ['max=100', { max: 100 }],
    ['max=100,timeout=5', { timeout: 5_000, max: 100 }],
    ['TimeOut = 5 ;q=1, MAX= 7', { max: 7 }],
    ['timeout="15", max="2"', { timeout: 15_000, max: 2 }],
    ['timeout=0, max=0', { timeout: 0, max: 0 }],
    ['timeout=60, timeout=5, max=3, max=9', { timeout: 5_000, max: 3 }],
    ['foo="a, timeout=1", timeout=5', { timeout: 5_000 }],
    ['foo, bar=1, timeout=5', { timeout: 5_000 }],
    [',, ,timeout=5,,', { timeout: 5_000 }],
    ['"odd", timeout=5', { timeout: 5_000 }],
    [['timeout=9', 'max=3'], { timeout: 9_000, max: 3 }],
    ['timeout=-5, max=1.5', {}],
    ['timeout=5s, max=', {}],
    ['timeout, max', {}],
    ['timeout=1e3, max=0x10', {}],
    ['timeout=999999999999999999999', {}],
    ['timeout==5', {}],
    ['', {}],
    [undefined, {}],
    [null, {}],
    [5, {}],
  ] as [string, KeepAlive][])('%j: %j', (header, wanted) => {
    expect(parseKeepAlive(header)).toEqual(wanted)
  })

  it('never throws, ends, and returns nothing but whole numbers from 0', () => {
    const pieces = fc.constantFrom('timeout', 'max', '=', ',', '"', ' ', '5', '-', 'x', '\t', ';', '\u0000')
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces).map((all) => all.join('')),
        ),
        (header) => {
          for (const value of Object.values(parseKeepAlive(header))) {
            expect(Number.isInteger(value) && value >= 0).toBe(true)
          }
        },
      ),
    )
  })
})
