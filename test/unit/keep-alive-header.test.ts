import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type KeepAlive, parseKeepAlive } from '../../src/http/index.js'

describe('parseKeepAlive', () => {
  it.each<{ header: unknown; wanted: KeepAlive }>([
    { header: 'timeout=5, max=100', wanted: { timeout: 5_000, max: 100 } },
    { header: 'timeout=5', wanted: { timeout: 5_000 } },
    { header: 'max=100', wanted: { max: 100 } },
    { header: 'max=100,timeout=5', wanted: { timeout: 5_000, max: 100 } },
    { header: 'TimeOut = 5 ;q=1, MAX= 7', wanted: { max: 7 } },
    { header: 'timeout="15", max="2"', wanted: { timeout: 15_000, max: 2 } },
    { header: 'timeout=0, max=0', wanted: { timeout: 0, max: 0 } },
    { header: 'timeout=60, timeout=5, max=3, max=9', wanted: { timeout: 5_000, max: 3 } },
    { header: 'foo="a, timeout=1", timeout=5', wanted: { timeout: 5_000 } },
    { header: 'foo, bar=1, timeout=5', wanted: { timeout: 5_000 } },
    { header: ',, ,timeout=5,,', wanted: { timeout: 5_000 } },
    { header: '"odd", timeout=5', wanted: { timeout: 5_000 } },
    { header: ['timeout=9', 'max=3'], wanted: { timeout: 9_000, max: 3 } },
    { header: 'timeout=-5, max=1.5', wanted: {} },
    { header: 'timeout=5s, max=', wanted: {} },
    { header: 'timeout, max', wanted: {} },
    { header: 'timeout=1e3, max=0x10', wanted: {} },
    { header: 'timeout=999999999999999999999', wanted: {} },
    { header: 'timeout==5', wanted: {} },
    { header: '', wanted: {} },
    { header: undefined, wanted: {} },
    { header: null, wanted: {} },
    { header: 5, wanted: {} },
  ])('reads $header as $wanted', ({ header, wanted }) => {
    expect(parseKeepAlive(header as string)).toEqual(wanted)
  })

  it('never throws, always ends, and returns only whole numbers, 0 or greater', () => {
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
