import { SocketAddress } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressBytes, addressText } from '../../src/kernel/address.js'

const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 })
// Zeros are what the text of IPv6 is about.
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])))

describe('addressText', () => {
  // RFC 5952 §4 and §5
  it.each([
    { text: '2001:0db8:0:0:1:0:0:1', canonical: '2001:db8::1:0:0:1' },
    { text: '2001:db8:0:1:1:1:1:1', canonical: '2001:db8:0:1:1:1:1:1' },
    { text: '2001:0:0:1:0:0:0:1', canonical: '2001:0:0:1::1' },
    { text: '2001:DB8::AAAA', canonical: '2001:db8::aaaa' },
    { text: '::ffff:c000:201', canonical: '::ffff:192.0.2.1' },
    { text: '0:0:0:0:0:0:0:0', canonical: '::' },
    { text: '::1', canonical: '::1' },
    { text: '1::', canonical: '1::' },
    { text: 'fe80:0:0:0:0:0:0:0', canonical: 'fe80::' },
    { text: '64:ff9b::192.0.2.33', canonical: '64:ff9b::c000:221' },
    { text: '192.0.2.1', canonical: '192.0.2.1' },
  ])('writes $text as $canonical', ({ text, canonical }) => {
    expect(addressText(addressBytes(text)!)).toBe(canonical)
  })

  it('agrees with the URL standard, except for IPv4 in IPv6', () => {
    fc.assert(
      fc.property(ipv6, (bytes) => {
        fc.pre(bytes.subarray(0, 10).some((byte) => byte !== 0))
        expect(`[${addressText(bytes)}]`).toBe(new URL(`http://[${addressText(bytes)}]`).hostname)
        const long = Array.from({ length: 8 }, (_, i) =>
          ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16),
        )
        expect(`[${addressText(bytes)}]`).toBe(new URL(`http://[${long.join(':')}]`).hostname)
      }),
      { numRuns: 2_000 },
    )
  })

  it('writes what addressBytes reads back as the same bytes', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), (bytes) => {
        const text = addressText(bytes)
        expect(addressBytes(text)).toEqual(bytes)
        const family = bytes.length === 4 ? 'ipv4' : 'ipv6'
        expect(new SocketAddress({ address: text, family }).family).toBe(family)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('addressBytes', () => {
  it('accepts any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.ipV4Extended()), (text) => {
        expect([undefined, 4, 16]).toContain(addressBytes(text)?.length)
      }),
      { numRuns: 5_000 },
    )
  })

  it.each(['', '1.2.3', '1.2.3.4.5', '256.0.0.1', '01.2.3.4', ':::', '1::2::3', 'fe80::1%eth0', 'localhost'])(
    'returns nothing for %s',
    (text) => {
      expect(addressBytes(text)).toBeUndefined()
    },
  )

  it('reads all addresses of fc.ipV6', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        expect(addressBytes(text)).toHaveLength(16)
      }),
    )
  })
})
