import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CookieMap, type Keyed } from '../../src/overlay/cookie-map.js'

interface Item extends Keyed<Item> {
  readonly name: number
}

/** Few enough to meet again, some of them in one bucket, and the greatest that there can be. */
const cookie = fc.oneof(
  fc.bigInt({ min: 1n, max: 300n }),
  fc.constantFrom(64n, 128n, 4_096n, 2n ** 53n + 1n, 2n ** 64n - 1n, 2n ** 64n - 2n),
)

describe('CookieMap', () => {
  it('has the same items as a Map after random additions and removals', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ cookie, isAdded: fc.boolean() }), { maxLength: 600 }), (steps) => {
        const expected = new Map<bigint, Item>()
        const kept = new CookieMap<Item>()
        for (const [name, { cookie, isAdded }] of steps.entries()) {
          const known = expected.get(cookie)
          if (known && !isAdded) {
            kept.delete(known)
            expected.delete(cookie)
            expect(known.nextInBucket).toBeUndefined()
            // Twice does nothing.
            kept.delete(known)
          } else if (!known && isAdded) {
            const item = { cookie, name, nextInBucket: undefined }
            kept.add(item)
            expected.set(cookie, item)
          }
          expect(kept.get(cookie)).toBe(expected.get(cookie))
          expect(kept.size).toBe(expected.size)
        }
        const seen: Item[] = []
        kept.forEach((item) => {
          seen.push(item)
        })
        expect(new Set(seen)).toEqual(new Set(expected.values()))
        expect(seen.length).toBe(expected.size)
      }),
    )
  })
})
