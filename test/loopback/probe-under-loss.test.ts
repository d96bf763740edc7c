import { describe, expect, it } from 'vitest'
import { type ProbeResult, probeAll } from '../../src/index.js'
import { lossy } from '../../src/testing/index.js'
import { awaitIdle, idlePairs } from '../support/idle-connections.js'
import { hasNetAdmin } from '../support/net-admin.js'

const COUNT = 4_000
const SHARE = 0.1

/** The range that as many independent chances of `share` leave once in two million tries. */
function within(share: number): { least: number; most: number } {
  const mean = COUNT * share
  const fiveSigma = 5 * Math.sqrt(mean * (1 - share))
  return { least: mean - fiveSigma, most: mean + fiveSigma }
}

const ends = [
  ['probes', 'peer'],
  // A peer that has just answered would not answer again for half a second, so this shows whether attempts are far enough apart.
  ['answers', 'socket'],
] as const

describe.runIf(hasNetAdmin)('4,000 healthy connections, a tenth of the segments lost', () => {
  it.each(ends)('%s: no more called silent than chance has it; with 20 attempts none', async (_, end) => {
    const pairs = await idlePairs(COUNT)
    const sockets = pairs.map(({ socket }) => socket)
    for (const pair of pairs) lossy(pair[end], SHARE)

    const three = await probeAll(sockets)
    const silent = three.filter(({ evidence }) => evidence === 'silence')
    expect(silent.length).toBeLessThanOrEqual(within(SHARE ** 3).most)
    expect(three.filter(({ evidence }) => evidence !== 'silence' && evidence !== 'ack')).toEqual([])
    // The loss is there: so many had to be asked twice.
    const askedAgain = three.filter(({ attempts }) => attempts > 1).length
    expect(askedAgain).toBeGreaterThan(within(SHARE).least)
    expect(askedAgain).toBeLessThan(within(SHARE).most)

    await awaitIdle(...sockets)
    const twenty: ProbeResult[] = await probeAll(sockets, { attempts: 20 })
    expect(twenty.filter(({ evidence }) => evidence !== 'ack')).toEqual([])
    expect(twenty.filter(({ attempts }) => attempts > 1).length).toBeGreaterThan(within(SHARE).least)
  })
})
