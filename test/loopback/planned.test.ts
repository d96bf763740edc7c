import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { type Death, inspect, plan, tune, watch } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { connectPair } from '../support/connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { latest, TICK } from '../support/tolerance.js'

// What a plan promises, of peers that vanish.

/** A planned connection, and when its peer was last heard before it vanished. */
async function vanished(detectWithin: number) {
  const { profile, heartbeat, detection } = plan({ path: [], detectWithin })
  const { socket, peer } = await connectPair()
  tune(socket, profile)
  const watcher = watch({ ...(heartbeat && { heartbeat }) })
  watcher.add(socket)
  peer.write('.')
  await once(socket, 'data')
  const heard = performance.now() - inspect(socket).info!.lastDataRecv
  blackHole(peer)
  const died = once(watcher, 'dead').then(([death]) => ({
    death: death as Death,
    after: performance.now() - heard,
  }))
  return { socket, died, watcher, detection }
}

describe.runIf(hasNetAdmin).concurrent('a planned connection', () => {
  it.each([2_000, 3_000, 4_000, 6_000])(
    'notices an idle death within %d ms, by the kernel or the heartbeat',
    async (detectWithin) => {
      const { died, watcher } = await vanished(detectWithin)
      const { after } = await died
      expect(after).toBeLessThan(latest(detectWithin))
      watcher.close()
    },
  )

  it.each([2_000, 4_000, 6_000])(
    'notices a death with data in flight within %d ms, by the kernel or the heartbeat',
    async (detectWithin) => {
      const { socket, died, watcher, detection } = await vanished(detectWithin)
      socket.write('x')
      const { after, death } = await died
      // A heartbeat judges by the retransmissions, which may have been enough before the kernel's own time is up.
      if (death.reason !== 'heartbeat') {
        expect(death.reason).toBe('user-timeout')
        expect(after).toBeGreaterThan(detection.inFlight - TICK)
      }
      expect(after).toBeLessThan(latest(detectWithin))
      watcher.close()
    },
  )

  it('detects a dead idle peer within 1,500 ms by the heartbeat of the plan', async () => {
    const { died, watcher } = await vanished(1_500)
    const { after, death } = await died
    expect(death.detectedBy).toBe('heartbeat')
    // Before the kernel: a busy machine may take half a second for what should take a tenth.
    expect(after).toBeLessThan(2_000)
    watcher.close()
  })
})
