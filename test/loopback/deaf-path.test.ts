import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { inspect, probe, tune } from '../../src/index.js'
import { audit, plan } from '../../src/path/index.js'
import { deaf } from '../../src/testing/index.js'
import { connectPair, type Pair } from '../support/connections.js'
import { hasProbeFilter } from '../support/probe-filter.js'

// A path that passes data and drops probes, as AWS Global Accelerator and Docker Desktop for macOS do.

const vpn = { name: 'vpn', idleTimeout: 60_000, answersProbes: 'no' as const }

async function carry(one: Pair) {
  const received = once(one.peer.resume(), 'data')
  one.socket.write('still there?')
  await received
}

describe.runIf(hasProbeFilter).concurrent('an idle connection on a path that drops probes', () => {
  it('is never ended by the profile of plan(): a userTimeout without keepalive ends no idle connection', async () => {
    const pair = await connectPair()
    await carry(pair)
    using _deaf = deaf(pair.peer)
    const { profile } = plan({ path: [vpn], detectWithin: 4_000 })
    expect(profile).toEqual({ enable: false, userTimeout: 2_600 })
    tune(pair.socket, profile)
    // Three times the userTimeout.
    await delay(8_000)
    expect(pair.socket.destroyed).toBe(false)
    expect(inspect(pair.socket).info!.probes).toBe(0)
    await carry(pair)
  })

  it('is ended by keepalive when it fires for the second time, if any userTimeout is set', async () => {
    const pair = await connectPair()
    await carry(pair)
    using _deaf = deaf(pair.peer)
    tune(pair.socket, { initialDelay: 1_000, interval: 1_000, count: 100, userTimeout: 500 })
    const began = performance.now()
    const [error] = (await once(pair.socket.resume(), 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ETIMEDOUT')
    expect(performance.now() - began).toBeGreaterThan(1_900)
    expect(performance.now() - began).toBeLessThan(4_000)
  })

  it('makes keepalive an error in an audit, once the connection has shown it', async () => {
    const pair = await connectPair()
    await carry(pair)
    using _deaf = deaf(pair.peer)
    await delay(1_100)
    await probe(pair.socket, { confirm: (socket) => socket.write('confirm') })
    expect(inspect(pair.socket).path).toBe('deaf')
    tune(pair.socket, { initialDelay: 30_000, interval: 10_000, count: 3, userTimeout: 60_000 })
    const [finding] = audit(pair.socket, [])
    expect(finding).toEqual({
      severity: 'error',
      code: 'keepalive-on-deaf-path',
      message:
        'The path of this connection passes data and no keepalive probes. Keepalive is on, so the kernel ends a connection that is idle for 60 s, although its peer is alive.',
      change:
        'Set { enable: false, userTimeout: 120_000 }. Send data at least every 120 s: a ping of the protocol (HTTP/2, WebSocket) or a query.',
    })
    tune(pair.socket, { enable: false, userTimeout: 120_000 })
    expect(audit(pair.socket, []).map(({ severity, code }) => `${severity} ${code}`)).toEqual([
      'warning probes-not-answered',
    ])
  })
})
