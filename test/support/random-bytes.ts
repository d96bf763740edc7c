import fc from 'fast-check'

/** How many cases a decoder is shown. */
export const CASES = 100_000

/** Any bytes, up to so many. Made from a seed, for fast-check takes a hundred times as long for an array. */
export function anyBytes(most: number): fc.Arbitrary<Uint8Array> {
  return fc.tuple(fc.nat(most), fc.integer()).map(([length, seed]) => bytesFrom(seed, length))
}

/** Of every fourth seed the bytes are any, of the others mostly 0, mostly 255, or one of the two. */
function bytesFrom(seed: number, length: number): Uint8Array {
  const kind = seed & 3
  let state = seed | 1
  return Uint8Array.from({ length }, () => {
    // xorshift32
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    if (kind === 0 || (state & 0x700) === 0) return state >>> 24
    return kind === 1 || (kind === 3 && state & 0x800) ? 0 : 255
  })
}
