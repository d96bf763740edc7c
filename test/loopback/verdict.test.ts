import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { inspect, TcpState, tune } from '../../src/index.js'
import { connect } from '../support/connections.js'
import { until } from '../support/until.js'

// What the verdict is made from, and doctor's time in CLOSE_WAIT.

describe('the counters of an idle connection', () => {
  it('show an acknowledged probe only at the end that sent it', async () => {
    const [pair] = await connect(1)
    const { socket, peer } = pair!
    tune(socket, { initialDelay: 1_000, interval: 1_000, count: 9 })
    await until(() => inspect(socket).info!.segsIn! > 1 && inspect(socket).info!.lastDataRecv > 2_500)
    const prober = inspect(socket).info!
    expect(prober.lastAckRecv + 1_000).toBeLessThanOrEqual(Math.min(prober.lastDataSent, prober.lastDataRecv))
    const probed = inspect(peer).info!
    expect(probed.segsIn).toBeGreaterThan(2)
    expect(probed.lastAckRecv).toBeGreaterThanOrEqual(2_400)
  })

  it('show a FIN in lastAckRecv, and not in lastDataRecv', async () => {
    const [pair] = await connect(1)
    const { socket, peer } = pair!
    socket.allowHalfOpen = true
    await delay(1_000)
    peer.end()
    await until(() => inspect(socket).info!.state === TcpState.CLOSE_WAIT)
    const { lastAckRecv, lastDataRecv } = inspect(socket).info!
    expect(lastDataRecv - lastAckRecv).toBeGreaterThanOrEqual(900)
  })
})
