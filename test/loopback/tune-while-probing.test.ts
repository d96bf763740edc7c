import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { inspect, type Profile, probe, tune } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { connectPair } from '../support/connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { latest } from '../support/tolerance.js'
import { until } from '../support/until.js'

/** TCP_KEEPINTVL while the kernel is made to probe a connection that has keepalive off: the timer then stands at nine hours. */
const LONGEST_INTERVAL = 32_767_000

const quick: Profile = { enable: true, initialDelay: 1_000, interval: 1_000, count: 1 }

describe.skipIf(!hasNetAdmin)(
  'a connection without keepalive that is tuned right after a probe has left',
  () => {
    it.each([
      { peer: 'acknowledges the probe and vanishes later', isSilent: false },
      { peer: 'has vanished before the probe', isSilent: true },
    ])('ends by the timer of its new options if its peer $peer', async ({ isSilent }) => {
      const { socket, peer } = await connectPair()
      socket.on('error', () => {})
      peer.on('error', () => {})
      tune(socket, { ...quick, enable: false })
      await until(() => inspect(socket).info!.lastAckRecv > 1_100)
      if (isSilent) blackHole(peer)
      const asked = probe(socket, { attempts: 1 })
      while (inspect(socket).inForce.interval !== LONGEST_INTERVAL) await nextTurn()
      // The kernel's tick comes, and this process does not observe it.
      const left = performance.now() + 25
      while (performance.now() < left);
      tune(socket, quick)
      const { alive } = await asked
      expect(alive).toBe(!isSilent)
      if (!isSilent) blackHole(peer)
      const start = performance.now()
      await until(() => socket.destroyed || inspect(socket).verdict === 'dead')
      expect(performance.now() - start).toBeLessThan(latest(2_000))
      socket.destroy()
      peer.destroy()
    })
  },
)
