import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { hostMetrics } from '../../src/cli/commands/export/host-metrics.js'
import { ProcessGroups } from '../../src/cli/commands/export/process-groups.js'
import { connectionStates } from '../../src/cli/lib/selection.js'
import { livenessCounters, type SocketState } from '../../src/host/index.js'
import type { Verdict } from '../../src/index.js'
import { hostCounters } from '../../src/metrics/host-counters.js'
import { putMetrics } from '../../src/metrics/prometheus.js'
import { Exposition } from '../support/prometheus-exposition.js'

/** All that a connection of that state can be called. */
function verdictsIn(state: SocketState): Verdict[] {
  if (state === 'established') return ['alive', 'unknown', 'suspect']
  return state === 'syn-sent' ? ['alive', 'suspect'] : ['suspect', 'closing']
}

async function told(counters: Parameters<typeof livenessCounters>[0]): Promise<Exposition> {
  const registry = new Registry()
  putMetrics(registry, hostCounters, [], () => [{ labels: {}, sample: livenessCounters(counters) }])
  return new Exposition(await registry.metrics())
}

describe('the metrics of a host', () => {
  it('take at most 70 kB, however many connections and processes the host has', async () => {
    const groups = new ProcessGroups()
    for (let i = 0; i < 1_000; i++) groups.of(`a-long-name-${String(i).padStart(3, '0')}`)
    const most = 2 ** 31
    const connections = groups.names.flatMap((process) =>
      connectionStates.flatMap((state) =>
        verdictsIn(state).map((verdict) => ({
          ...{ state, verdict, process },
          ...{ count: most, probes: most, retransmissions: most },
        })),
      ),
    )
    const deaths = { keepalive: most, 'user-timeout': most, retransmission: most, reset: most }
    const tally = { suspicions: most, recoveries: most, deaths, unnoticed: most, ended: most }
    const tallies = new Map(groups.names.map((name) => [name, tally]))
    const registry = new Registry()
    putMetrics(registry, hostMetrics, [], () => [
      { labels: {}, sample: { connections, tallies, samples: most, failedSamples: most, took: most } },
    ])
    const text = await registry.metrics()
    expect(new Exposition(text).valuesOf('process').size).toBe(23)
    expect(text.length).toBeGreaterThan(50_000)
    expect(text.length).toBeLessThan(70_000)
  })
})

describe('the counters of the host', () => {
  it('are exported as one metric each', async () => {
    const { series } = await told({
      Tcp: { OutRsts: 1, EstabResets: 2, CurrEstab: 3 },
      TcpExt: {
        TCPKeepAlive: 4,
        TCPWinProbe: 5,
        TCPTimeouts: 6,
        TCPAbortOnTimeout: 7,
        TCPAbortFailed: 8,
        OutOfWindowIcmps: 9,
      },
    })
    expect(Object.fromEntries(series)).toEqual({
      deadpeer_host_resets_sent_total: 1,
      deadpeer_host_abrupt_ends_total: 2,
      deadpeer_host_established_connections: 3,
      deadpeer_host_keepalive_probes_total: 4,
      deadpeer_host_window_probes_total: 5,
      deadpeer_host_retransmission_timeouts_total: 6,
      deadpeer_host_aborts_on_timeout_total: 7,
      deadpeer_host_failed_aborts_total: 8,
      deadpeer_host_out_of_window_icmps_total: 9,
    })
  })

  it('leave out what this kernel does not count, instead of 0', async () => {
    const { series } = await told({ Tcp: { OutRsts: 0 }, TcpExt: {} })
    expect(Object.fromEntries(series)).toEqual({ deadpeer_host_resets_sent_total: 0 })
  })
})
