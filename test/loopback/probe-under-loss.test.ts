import { describe, expect, it } from 'vitest'
import { type ProbeResult, probeAll } from '../../src/index.js'
import { lossy } from '../../src/testing/index.js'
import { awaitIdle, idlePairs } from '../support/idle-connections.js'
import { hasNetAdmin } from '../support/net-admin.js'

const COUNT = 4_000
const SHARE = 0.1

/** Five standard deviations around the mean of COUNT trials with probability `share`: a run is outside once in two million. */
function within(share: number): { least: number; most: number } {
  const mean = COUNT * share
  const fiveSigma = 5 * Math.sqrt(mean * (1 - share))
  return { least: mean - fiveSigma, most: mean + fiveSigma }
}

const ends = [
  ['probes', 'peer'],
  // A peer does not acknowledge another probe for half a second, so this shows whether attempts are far enough apart.
  ['acknowledgements', 'socket'],
] as const

describe.runIf(hasNetAdmin)('probeAll of 4,000 healthy connections that lose a tenth of the segments', () => {
  it.each(ends)(
    'reports no more as silent than probability predicts, and none with 20 attempts: %s lost',
    async (_, end) => {
      const pairs = await idlePairs(COUNT)
      const sockets = pairs.map(({ socket }) => socket)
      for (const pair of pairs) lossy(pair[end], SHARE)

      const three = await probeAll(sockets)
      const silent = three.filter(({ evidence }) => evidence === 'silence')
      expect(silent.length).toBeLessThanOrEqual(within(SHARE ** 3).most)
      expect(three.filter(({ evidence }) => evidence !== 'silence' && evidence !== 'ack')).toEqual([])
      // The loss shows in the number of peers that needed a second attempt.
      const askedAgain = three.filter(({ attempts }) => attempts > 1).length
      expect(askedAgain).toBeGreaterThan(within(SHARE).least)
      expect(askedAgain).toBeLessThan(within(SHARE).most)

      await awaitIdle(...sockets)
      const twenty: ProbeResult[] = await probeAll(sockets, { attempts: 20 })
      expect(twenty.filter(({ evidence }) => evidence !== 'ack')).toEqual([])
      expect(twenty.filter(({ attempts }) => attempts > 1).length).toBeGreaterThan(within(SHARE).least)
    },
  )
})
